// For tests of what happens when the system has no more threads.
#ifndef ANYWIRE_TESTS_SUPPORT_NO_MORE_THREADS_H_
#define ANYWIRE_TESTS_SUPPORT_NO_MORE_THREADS_H_

#include <pthread.h>

#include <cstddef>

#include "gtest/gtest.h"

namespace anywire::test {

// While one exists, no thread of the process can start another (EAGAIN): the stack that a thread
// has by default is larger than the address space.
class NoMoreThreads {
 public:
  NoMoreThreads() {
    EXPECT_EQ(pthread_getattr_default_np(&before_), 0);
    pthread_attr_t huge = before_;
    EXPECT_EQ(pthread_attr_setstacksize(&huge, size_t{1} << 60), 0);
    EXPECT_EQ(pthread_setattr_default_np(&huge), 0);
  }
  ~NoMoreThreads() { EXPECT_EQ(pthread_setattr_default_np(&before_), 0); }
  NoMoreThreads(const NoMoreThreads&) = delete;
  NoMoreThreads& operator=(const NoMoreThreads&) = delete;

 private:
  pthread_attr_t before_;
};

}  // namespace anywire::test

#endif  // ANYWIRE_TESTS_SUPPORT_NO_MORE_THREADS_H_
