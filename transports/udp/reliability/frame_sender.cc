#include "transports/udp/reliability/frame_sender.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/base/macros.h"

namespace anywire::udp {
namespace {

// An empty table gives back memory for more members than this.
constexpr size_t kIdleTable = 64;

}  // namespace

void FrameSender::StreamQueue::Push(Stream& stream) {
  stream.queued = true;
  stream.next = nullptr;
  (first_ == nullptr ? first_ : last_->next) = &stream;
  last_ = &stream;
}

void FrameSender::StreamQueue::Pop() {
  Stream& stream = *first_;
  first_ = stream.next;
  stream.queued = false;
  stream.next = nullptr;
}

FrameSender::FrameSender(const Options& options, BufferPool& pool)
    : send_buffer_(options.send_buffer), stream_window_(options.stream_window), pool_(pool) {}

FrameSender::~FrameSender() {
  Clear();
  DropPrepared();
}

absl::Span<uint8_t> FrameSender::NewFrame(uint64_t stream, size_t size) {
  const absl::Span<uint8_t> bytes = PrepareFrame(stream, size);
  Publish();
  return bytes;
}

absl::Span<uint8_t> FrameSender::PrepareFrame(uint64_t stream, size_t size) {
  Frame* const frame = Prepare(stream, size, size);
  return frame == nullptr ? absl::Span<uint8_t>() : absl::MakeSpan(frame->bytes.get(), size);
}

bool FrameSender::PreparePiece(uint64_t stream, absl::Span<const uint8_t> head,
                               const SharedMessageMemory& memory, size_t offset, size_t size) {
  Frame* const frame = Prepare(stream, head.size() + size, head.size());
  if (frame == nullptr) return false;
  std::memcpy(frame->bytes.get(), head.data(), head.size());
  frame->shared = memory;
  frame->shared_offset = offset;
  return true;
}

FrameSender::Frame* FrameSender::Prepare(uint64_t stream, size_t size, size_t own_size) {
  ABSL_HARDENING_ASSERT(size >= 1 && size <= kLargestMaxFrameSize);
  const size_t count = size + kFrameCost;
  if (held_ != 0 && (held_ >= send_buffer_ || count > send_buffer_ - held_)) {
    refused_ = std::max(refused_, count);
    return nullptr;
  }
  BufferPool::Object<Frame> frame = pool_.Make<Frame>();
  Frame* const added = frame.get();
  added->stream_number = stream;
  added->size = size;
  added->own_size = own_size;
  added->bytes = pool_.Take(own_size);
  (prepared_ == nullptr ? prepared_ : prepared_end_->next) = std::move(frame);
  prepared_end_ = added;
  prepared_held_ += count;
  held_ += count;
  return added;
}

bool FrameSender::Publish() {
  if (prepared_ == nullptr) return false;
  while (prepared_ != nullptr) {
    BufferPool::Object<Frame> frame = std::move(prepared_);
    prepared_ = std::move(frame->next);
    Frame* const added = frame.get();
    Stream& stream = StreamOf(added->stream_number);
    added->stream = &stream;
    (stream.row == nullptr ? stream.row : stream.row_end->next) = std::move(frame);
    stream.row_end = added;
    ++waiting_;
    Queue(stream);
  }
  prepared_held_ = 0;
  return true;
}

void FrameSender::DropPrepared() {
  while (prepared_ != nullptr) {
    const BufferPool::Object<Frame> first = std::move(prepared_);
    prepared_ = std::move(first->next);
  }
  held_ -= std::exchange(prepared_held_, 0);
}

bool FrameSender::TakeRoom() {
  if (refused_ == 0) return false;
  if (held_ != 0 && (held_ > send_buffer_ / 2 || refused_ > send_buffer_ - held_)) return false;
  refused_ = 0;
  return true;
}

void FrameSender::OnCredit(uint64_t credit) {
  if (credit <= credit_) return;
  credit_ = credit;
  QueueStarved();
}

bool FrameSender::WriteChunk(ChunkWriter& writer, FramePiece* piece) {
  return WriteLost(writer, piece) || (lost_.empty() && WriteUnsent(writer, piece));
}

bool FrameSender::WriteLost(ChunkWriter& writer, FramePiece* piece) {
  for (; !lost_.empty(); lost_.PopFront()) {
    Frame* const frame = Find(lost_.front());
    if (frame == nullptr) continue;  // all of it has been acknowledged meanwhile
    if (frame->lost.empty()) {
      frame->in_lost_queue = false;
      continue;
    }
    const Interval lost = frame->lost.front();
    const size_t size = WritePart(writer, *frame, lost.begin, lost.end);
    if (size == 0) return false;
    frame->lost.Subtract({lost.begin, lost.begin + size});
    *piece = {frame->id, static_cast<uint32_t>(lost.begin),
              static_cast<uint32_t>(lost.begin + size)};
    return true;
  }
  return false;
}

bool FrameSender::WriteUnsent(ChunkWriter& writer, FramePiece* piece) {
  while (!turns_.empty()) {
    Stream& stream = *turns_.front();
    if (stream.current == nullptr) {
      if (IsOverWindow(stream)) {
        turns_.Pop();  // until frames of it are acknowledged
        continue;
      }
      if (!starved_.empty() || !MayBegin(*stream.row)) {
        turns_.Pop();
        starved_.Push(stream);
        continue;
      }
      Begin(stream);
    }
    Frame& frame = *stream.current;
    const size_t begin = stream.current_sent;
    const size_t size = WritePart(writer, frame, begin, frame.size);
    if (size == 0) return false;
    *piece = {frame.id, static_cast<uint32_t>(begin), static_cast<uint32_t>(begin + size)};
    stream.current_sent += size;
    if (stream.current_sent == frame.size) {
      stream.current = nullptr;
      --waiting_;
    }
    turns_.Pop();
    Queue(stream);
    return true;
  }
  return false;
}

size_t FrameSender::WritePart(ChunkWriter& writer, const Frame& frame, size_t begin, size_t end) {
  FrameChunk chunk;
  chunk.id = frame.id;
  chunk.stream = frame.stream->number;
  chunk.after = frame.after;
  chunk.offset = begin;
  chunk.frame_size = frame.size;
  size_t size = end - begin;
  uint8_t* to = writer.FrameOf(chunk, size);
  if (to == nullptr) {
    if (size <= kLeastPart) return 0;
    --size;  // it is a part now, and says so in its header
    const size_t overhead = ChunkWriter::FrameOverhead(chunk, size);
    if (writer.left() < overhead + kLeastPart) return 0;
    size = std::min(size, writer.left() - overhead);
    to = writer.FrameOf(chunk, size);
    if (to == nullptr) return 0;
  }
  frame.Copy(begin, size, to);
  return size;
}

void FrameSender::Frame::Copy(size_t begin, size_t count, uint8_t* to) const {
  if (begin < own_size) {
    const size_t here = std::min(count, own_size - begin);
    std::memcpy(to, bytes.get() + begin, here);
    begin += here;
    count -= here;
    to += here;
  }
  if (count > 0) std::memcpy(to, shared.get() + shared_offset + (begin - own_size), count);
}

bool FrameSender::IsOverWindow(const Stream& stream) const {
  return stream.unacked > 0 && stream.unacked_count + stream.row->count() > stream_window_;
}

bool FrameSender::MayBegin(const Frame& frame) {
  starved_by_span_ = frames_.size() >= kFrameSpan;
  return !starved_by_span_ && begun_counts_ + frame.count() <= credit_;
}

void FrameSender::Begin(Stream& stream) {
  BufferPool::Object<Frame> frame = std::move(stream.row);
  stream.row = std::move(frame->next);
  frame->id = frames_.end();
  frame->after = stream.unacked > 0 ? frame->id - stream.last_id : 0;
  stream.current = frame.get();
  stream.current_sent = 0;
  stream.last_id = frame->id;
  ++stream.unacked;
  stream.unacked_count += frame->count();
  begun_counts_ += frame->count();
  frames_.PushBack(std::move(frame));
}

FrameSender::Frame* FrameSender::Find(uint64_t id) {
  return frames_.Contains(id) ? frames_[id].get() : nullptr;
}

void FrameSender::OnPieceAcked(const FramePiece& piece) {
  Frame* const frame = Find(piece.frame_id);
  if (frame == nullptr) return;
  const Interval bytes = {piece.begin, piece.end};
  frame->acked_bytes += frame->acked.Add(bytes);
  if (!frame->lost.empty()) frame->lost.Subtract(bytes);
  if (frame->acked_bytes == frame->size) Finish(*frame);
}

void FrameSender::OnPieceLost(const FramePiece& piece) {
  Frame* const frame = Find(piece.frame_id);
  if (frame == nullptr) return;
  frame->acked.Split(
      {piece.begin, piece.end}, [](Interval) {},
      [frame](Interval missing) { frame->lost.Add(missing); });
  if (frame->lost.empty() || frame->in_lost_queue) return;
  frame->in_lost_queue = true;
  lost_.PushBack(frame->id);
}

void FrameSender::Finish(Frame& frame) {
  Stream& stream = *frame.stream;
  --stream.unacked;
  stream.unacked_count -= frame.count();
  held_ -= frame.count();
  frames_[frame.id].reset();
  while (!frames_.empty() && frames_.front() == nullptr) frames_.PopFront();
  if (starved_by_span_ && frames_.size() < kFrameSpan) QueueStarved();
  Queue(stream);
  DropIfIdle(stream);
}

void FrameSender::Queue(Stream& stream) {
  if (stream.queued) return;
  const bool may_send =
      stream.current != nullptr || (stream.row != nullptr && !IsOverWindow(stream));
  if (may_send) turns_.Push(stream);
}

void FrameSender::QueueStarved() {
  starved_by_span_ = false;
  while (!starved_.empty()) {
    Stream& stream = *starved_.front();
    starved_.Pop();
    turns_.Push(stream);
  }
}

FrameSender::Stream& FrameSender::StreamOf(uint64_t number) {
  BufferPool::Object<Stream>& stream = streams_[number];
  if (stream == nullptr) {
    stream = pool_.Make<Stream>();
    stream->number = number;
  }
  return *stream;
}

void FrameSender::DropIfIdle(const Stream& stream) {
  if (stream.unacked > 0 || stream.row != nullptr) return;
  streams_.erase(stream.number);
  if (streams_.empty() && streams_.capacity() > kIdleTable) streams_ = {};
}

void FrameSender::Clear() {
  // One by one, not by recursion: rows are long. And each outlives what it names.
  for (auto& [number, stream] : streams_) {
    while (stream->row != nullptr) {
      const BufferPool::Object<Frame> first = std::move(stream->row);
      stream->row = std::move(first->next);
    }
  }
  streams_ = {};
  turns_ = starved_ = StreamQueue();
  while (!frames_.empty()) frames_.PopFront();
  while (!lost_.empty()) lost_.PopFront();
  held_ = prepared_held_;
  waiting_ = 0;
}

}  // namespace anywire::udp
