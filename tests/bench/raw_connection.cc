#include "tests/bench/raw_connection.h"

#include <string.h>

namespace anywire::bench {

bool RawConnection::ReadAll(char* buffer, size_t size) {
  size_t have = 0;
  while (have < size) {
    const size_t got = Read(buffer + have, size - have);
    if (got == 0) return false;
    have += got;
  }
  return true;
}

bool FrameReader::Fill() {
  if (begin_ > 0) {
    memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  // Room for a frame that has been announced: the rest of it with as few reads as possible.
  if (end_ >= sizeof(FrameHeader)) {
    FrameHeader header;
    memcpy(&header, buffer_.data(), sizeof header);
    if (buffer_.size() < sizeof header + header.size) buffer_.resize(sizeof header + header.size);
  }
  const size_t got = connection_.Read(buffer_.data() + end_, buffer_.size() - end_);
  end_ += got;
  return got > 0;
}

bool FrameReader::Next(FrameHeader* header, absl::string_view* frame) {
  const size_t have = end_ - begin_;
  if (have < sizeof *header) return false;
  memcpy(header, buffer_.data() + begin_, sizeof *header);
  if (have < sizeof *header + header->size) return false;
  *frame = absl::string_view(buffer_).substr(begin_, sizeof *header + header->size);
  begin_ += frame->size();
  return true;
}

}  // namespace anywire::bench
