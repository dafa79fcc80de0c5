#include "tests/sim/link_path.h"

namespace anywire::sim {

LinkPath::LinkPath(Agenda& agenda, Random& random, const Link::Options& up,
                   const Link::Options& down)
    : up_(
          agenda, random, up,
          [this](absl::Span<const ReceivedFrame> frames) { on_frames(End::kServer, frames); },
          [this] { on_writable(End::kClient); }),
      down_(
          agenda, random, down,
          [this](absl::Span<const ReceivedFrame> frames) { on_frames(End::kClient, frames); },
          [this] { on_writable(End::kServer); }) {}

void LinkPath::Abort(End /*end*/, const absl::Status& why) {
  up_.Cut();
  down_.Cut();
  on_lost(End::kClient, why);
  on_lost(End::kServer, why);
}

}  // namespace anywire::sim
