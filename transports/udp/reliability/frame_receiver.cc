#include "transports/udp/reliability/frame_receiver.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace anywire::udp {
namespace {

constexpr char kDiffers[] = "parts of a frame overlap with different bytes";

// Tables that are empty give back memory for more members than this.
constexpr size_t kIdleTable = 64;

template <typename Table>
void ShrinkIfEmpty(Table& table) {
  if (table.empty() && table.capacity() > kIdleTable) table = Table();
}

}  // namespace

FrameReceiver::FrameReceiver(const Options& options, BufferPool& pool)
    : max_frame_size_(options.max_frame_size),
      window_(options.receive_window),
      pool_(pool),
      allowed_(options.receive_window),
      told_credit_(options.receive_window) {
  delivered_.Add({0, 1});
}

const char* FrameReceiver::OnFrame(const FrameChunk& chunk) {
  if (chunk.frame_size > max_frame_size_) return "a frame is larger than allowed";
  if (closed_ && chunk.id > last_frame_) return "a frame comes after the last";
  if (delivered_.Contains(chunk.id)) return nullptr;
  if (chunk.id - lowest_open() >= kFrameSpan) return "a frame is too far ahead of another";

  const auto it = open_.find(chunk.id);
  if (it == open_.end()) {
    BufferPool::Object<Frame> frame;
    if (const char* const why = Begin(chunk, &frame)) return why;
    if (const char* const why = Put(*frame, chunk)) return why;
    if (frame->is_complete() && delivered_.Contains(frame->predecessor())) {
      Deliver(std::move(frame));
    } else {
      open_.emplace(chunk.id, std::move(frame));
    }
    return nullptr;
  }

  Frame& frame = *it->second;
  if (frame.stream != chunk.stream || frame.after != chunk.after ||
      frame.size != chunk.frame_size) {
    return "parts of a frame do not agree on what it is";
  }
  if (const char* const why = Put(frame, chunk)) return why;
  if (frame.is_complete() && delivered_.Contains(frame.predecessor())) {
    BufferPool::Object<Frame> complete = std::move(it->second);
    open_.erase(it);
    Deliver(std::move(complete));
  }
  return nullptr;
}

const char* FrameReceiver::Begin(const FrameChunk& chunk, BufferPool::Object<Frame>* frame) {
  begun_ += chunk.frame_size + kFrameCost;
  if (begun_ > allowed_) return "frames exceed the receive window";
  highest_ = std::max(highest_, chunk.id);
  *frame = pool_.Make<Frame>();
  Frame& made = **frame;
  made.id = chunk.id;
  made.stream = chunk.stream;
  made.after = chunk.after;
  made.size = static_cast<size_t>(chunk.frame_size);
  made.bytes = pool_.Take(made.size);
  if (delivered_.Contains(made.predecessor())) return nullptr;
  const bool is_only_one = followers_.emplace(made.predecessor(), made.id).second;
  return is_only_one ? nullptr : "two frames follow the same one";
}

const char* FrameReceiver::Put(Frame& frame, const FrameChunk& chunk) {
  const Interval part = {chunk.offset, chunk.offset + chunk.bytes.size()};
  uint8_t* const to = frame.bytes.get();
  const uint8_t* const from = chunk.bytes.data();
  if (frame.is_complete()) {
    return std::memcmp(to + part.begin, from, part.size()) == 0 ? nullptr : kDiffers;
  }
  if (chunk.is_whole() && frame.received.empty()) {
    std::memcpy(to, from, frame.size);
    frame.received_bytes = frame.size;
    return nullptr;
  }
  bool same = true;
  frame.received.Split(
      part,
      [&](Interval known) {
        same &= std::memcmp(to + known.begin, from + (known.begin - part.begin), known.size()) == 0;
      },
      [&](Interval missing) {
        std::memcpy(to + missing.begin, from + (missing.begin - part.begin), missing.size());
      });
  if (!same) return kDiffers;
  frame.received_bytes += frame.received.Add(part);
  if (frame.received.count() > MaxPieces(frame.size)) return "a frame is in too many pieces";
  return nullptr;
}

void FrameReceiver::Deliver(BufferPool::Object<Frame> frame) {
  while (true) {
    const uint64_t id = frame->id;
    ready_.PushBack(std::move(frame));
    delivered_.Add({id, id + 1});
    if (followers_.empty()) break;
    const auto follower = followers_.find(id);
    if (follower == followers_.end()) break;
    const auto next = open_.find(follower->second);
    followers_.erase(follower);
    if (!next->second->is_complete()) break;
    frame = std::move(next->second);
    open_.erase(next);
  }
  ShrinkIfEmpty(open_);
  ShrinkIfEmpty(followers_);
}

const char* FrameReceiver::OnClose(uint64_t frames) {
  if (closed_ && frames != last_frame_) return "the number of frames has changed";
  if (frames < highest_) return "more frames have come than were sent";
  closed_ = true;
  last_frame_ = frames;
  return nullptr;
}

absl::Span<const ReceivedFrame> FrameReceiver::Receive() {
  Release();
  while (!ready_.empty() && given_.size() < kMostGiven) {
    Frame& frame = *given_.emplace_back(std::move(ready_.front()));
    views_.push_back({frame.stream, absl::MakeConstSpan(frame.bytes.get(), frame.size)});
    ready_.PopFront();
  }
  return views_;
}

void FrameReceiver::Release() {
  for (const BufferPool::Object<Frame>& frame : given_) released_ += frame->size + kFrameCost;
  given_.clear();
  views_.clear();
}

void FrameReceiver::Clear() {
  for (; !ready_.empty(); ready_.PopFront()) released_ += ready_.front()->size + kFrameCost;
  for (auto& [id, frame] : open_) released_ += frame->size + kFrameCost;
  open_ = {};
  followers_ = {};
}

}  // namespace anywire::udp
