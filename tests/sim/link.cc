#include "tests/sim/link.h"

#include <algorithm>
#include <utility>

#include "gtest/gtest.h"

namespace anywire::sim {

Link::Link(Agenda& agenda, Random& random, const Options& options,
           std::function<void(absl::Span<const ReceivedFrame>)> deliver,
           std::function<void()> writable)
    : agenda_(agenda),
      random_(random),
      options_(options),
      deliver_(std::move(deliver)),
      writable_(std::move(writable)) {}

absl::Span<uint8_t> Link::NewFrame(uint64_t stream, size_t size) {
  EXPECT_GE(size, 1u);
  EXPECT_LE(size, options_.max_frame_size);
  const bool full = on_their_way_ > 0 && on_their_way_ + size > options_.capacity;
  if (full || random_.Percent(options_.refuse_percent)) {
    if (!refused_) {
      refused_ = true;
      // A full link says when there is room; a refusal for no reason passes by itself.
      if (!full) {
        agenda_.After(Duration(random_.Below(100000)), [this] {
          refused_ = false;
          if (!cut_) writable_();
        });
      }
    }
    return {};
  }
  auto frame = std::make_shared<Frame>();
  frame->stream = stream;
  frame->bytes.assign(size, '\xee');
  on_their_way_ += size;
  ++frames_;
  const absl::Span<uint8_t> room(reinterpret_cast<uint8_t*>(frame->bytes.data()), size);
  Schedule(std::move(frame));
  return room;
}

void Link::Schedule(std::shared_ptr<Frame> frame) {
  const uint64_t order = options_.ordered ? 0 : frame->stream;
  const auto spread = static_cast<uint64_t>((options_.longest - options_.shortest).count());
  Instant& last = last_[order];
  last = std::max(last, agenda_.now() + options_.shortest + Duration(random_.Between(0, spread)));
  agenda_.At(last, [this, frame = std::move(frame)]() mutable {
    if (cut_) return;
    arrived_.push_back(std::move(frame));
    // What arrives together is sometimes read together.
    if (random_.OneIn(3)) {
      agenda_.After(Duration(random_.Below(20000)), [this] { Deliver(); });
    } else {
      Deliver();
    }
  });
}

void Link::Deliver() {
  if (cut_ || arrived_.empty()) return;
  const std::deque<std::shared_ptr<Frame>> frames = std::exchange(arrived_, {});
  std::vector<ReceivedFrame> views;
  for (const std::shared_ptr<Frame>& frame : frames) {
    on_their_way_ -= frame->bytes.size();
    views.push_back(
        {frame->stream, absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(frame->bytes.data()),
                                            frame->bytes.size())});
  }
  deliver_(views);
  if (refused_) {
    refused_ = false;
    writable_();
  }
}

}  // namespace anywire::sim
