// A list whose links live in its members: nothing is allocated, and a member is removed in constant
// time.
#ifndef ANYWIRE_RUNTIME_PROTOCOL_INTRUSIVE_LIST_H_
#define ANYWIRE_RUNTIME_PROTOCOL_INTRUSIVE_LIST_H_

#include <cassert>
#include <cstddef>

namespace anywire::protocol {

template <class T>
struct ListLink {
  T* previous = nullptr;
  T* next = nullptr;
  bool linked = false;
};

// Members are not owned and outlive their membership. `link` is the member variable that this list
// uses.
template <class T, ListLink<T> T::*link>
class IntrusiveList {
 public:
  IntrusiveList() = default;
  IntrusiveList(const IntrusiveList&) = delete;
  IntrusiveList& operator=(const IntrusiveList&) = delete;

  bool empty() const { return head_ == nullptr; }
  size_t size() const { return size_; }
  T* front() const { return head_; }
  static bool Contains(const T& member) { return (member.*link).linked; }

  void PushBack(T& member) {
    assert(!Contains(member));
    (member.*link) = {tail_, nullptr, true};
    (tail_ != nullptr ? (tail_->*link).next : head_) = &member;
    tail_ = &member;
    ++size_;
  }

  void PushFront(T& member) {
    assert(!Contains(member));
    (member.*link) = {nullptr, head_, true};
    (head_ != nullptr ? (head_->*link).previous : tail_) = &member;
    head_ = &member;
    ++size_;
  }

  void Remove(T& member) {
    assert(Contains(member));
    ListLink<T>& links = member.*link;
    (links.previous != nullptr ? (links.previous->*link).next : head_) = links.next;
    (links.next != nullptr ? (links.next->*link).previous : tail_) = links.previous;
    links = {};
    --size_;
  }

  // The first member, taken out, or null.
  T* PopFront() {
    T* const first = head_;
    if (first != nullptr) Remove(*first);
    return first;
  }

 private:
  T* head_ = nullptr;
  T* tail_ = nullptr;
  size_t size_ = 0;
};

}  // namespace anywire::protocol

#endif  // ANYWIRE_RUNTIME_PROTOCOL_INTRUSIVE_LIST_H_
