// A queue whose members are known by their number: the first has number begin(), the next the one
// after. Members are added at the end and leave at the front; one in between is found in constant
// time.
#ifndef ANYWIRE_TRANSPORTS_UDP_RELIABILITY_SEQUENCE_RING_H_
#define ANYWIRE_TRANSPORTS_UDP_RELIABILITY_SEQUENCE_RING_H_

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace anywire::udp {

// T has a default value, to which members return when they leave. Memory doubles as it is needed
// and is given back, but for a little, when the last member leaves. References live until the next
// PushBack.
template <typename T>
class SequenceRing {
 public:
  explicit SequenceRing(uint64_t begin = 0) : begin_(begin), end_(begin) {}
  SequenceRing(const SequenceRing&) = delete;
  SequenceRing& operator=(const SequenceRing&) = delete;

  uint64_t begin() const { return begin_; }
  uint64_t end() const { return end_; }
  size_t size() const { return static_cast<size_t>(end_ - begin_); }
  bool empty() const { return begin_ == end_; }
  bool Contains(uint64_t number) const { return number >= begin_ && number < end_; }
  size_t capacity() const { return capacity_; }

  // `number` is one of ours.
  T& operator[](uint64_t number) { return members_[number & (capacity_ - 1)]; }
  const T& operator[](uint64_t number) const { return members_[number & (capacity_ - 1)]; }
  T& front() { return (*this)[begin_]; }

  T& PushBack(T member = T()) {
    if (size() == capacity_) Grow();
    T& place = members_[end_++ & (capacity_ - 1)];
    place = std::move(member);
    return place;
  }

  void PopFront() {
    front() = T();
    ++begin_;
    if (empty() && capacity_ > kKept) {
      members_.reset();
      capacity_ = 0;
    }
  }

 private:
  static constexpr size_t kFirst = 8;  // a power of two, as all capacities are
  // Members, of 2 KiB or less if that are more than a few: what 64 calls at a time need again at
  // once.
  static constexpr size_t kKept = std::max<size_t>(32, std::bit_floor(2048 / sizeof(T)));

  void Grow() {
    const size_t larger = capacity_ == 0 ? kFirst : 2 * capacity_;
    auto members = std::make_unique<T[]>(larger);
    for (uint64_t i = begin_; i != end_; ++i) members[i & (larger - 1)] = std::move((*this)[i]);
    members_ = std::move(members);
    capacity_ = larger;
  }

  std::unique_ptr<T[]> members_;
  size_t capacity_ = 0;
  uint64_t begin_;
  uint64_t end_;
};

}  // namespace anywire::udp

#endif  // ANYWIRE_TRANSPORTS_UDP_RELIABILITY_SEQUENCE_RING_H_
