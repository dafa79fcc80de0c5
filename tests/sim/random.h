// Random numbers from a seed: the same everywhere, so that a seed is a test case.
#ifndef ANYWIRE_TESTS_SIM_RANDOM_H_
#define ANYWIRE_TESTS_SIM_RANDOM_H_

#include <cstddef>
#include <cstdint>
#include <initializer_list>

namespace anywire::sim {

// SplitMix64 (Steele, Lea and Flood, 2014).
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    state_ += 0x9e3779b97f4a7c15u;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  // 0 to bound - 1.
  uint64_t Below(uint64_t bound) { return Next() % bound; }
  // Both included.
  uint64_t Between(uint64_t low, uint64_t high) { return low + Below(high - low + 1); }
  bool OneIn(uint64_t n) { return Below(n) == 0; }
  bool Percent(uint64_t p) { return Below(100) < p; }
  template <class T>
  T Choose(std::initializer_list<T> choices) {
    return choices.begin()[Below(choices.size())];
  }

 private:
  uint64_t state_;
};

}  // namespace anywire::sim

#endif  // ANYWIRE_TESTS_SIM_RANDOM_H_
