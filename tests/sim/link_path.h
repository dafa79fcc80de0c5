// A path of two links, which are lost together.
#ifndef ANYWIRE_TESTS_SIM_LINK_PATH_H_
#define ANYWIRE_TESTS_SIM_LINK_PATH_H_

#include <cstddef>

#include "tests/sim/link.h"
#include "tests/sim/path.h"

namespace anywire::sim {

class LinkPath final : public Path {
 public:
  LinkPath(Agenda& agenda, Random& random, const Link::Options& up, const Link::Options& down);

  FrameSink& sink(End from) override { return link(from); }
  size_t max_frame_size(End from) const override {
    return from == End::kClient ? up_.max_frame_size() : down_.max_frame_size();
  }
  void Abort(End end, const absl::Status& why) override;
  uint64_t frames() const override { return up_.frames() + down_.frames(); }

 private:
  Link& link(End from) { return from == End::kClient ? up_ : down_; }

  Link up_, down_;
};

}  // namespace anywire::sim

#endif  // ANYWIRE_TESTS_SIM_LINK_PATH_H_
