// A small explicit-state model checker for code that two sides run on shared words.
//
// Each side is a function that does all its communication by the operations of Side, and is
// otherwise deterministic. So its state is the list of results that its operations had, and is
// restored by running it again from the start with those results. The checker visits every state
// that can be reached by letting the sides take steps in any order, each once.
//
// Memory is weaker than a processor's of today: stores wait in a buffer for each side, and leave it
// in any order, but those to one word in theirs and a releasing one behind all before it. A
// sequentially consistent store takes effect at once, behind all before it. (So a program that is
// right here is so by the orders it names, on x86 and ARM alike, as far as stores go; loads are
// taken in their order.)
#ifndef ANYWIRE_TRANSPORTS_SHM_INTERLEAVINGS_H_
#define ANYWIRE_TRANSPORTS_SHM_INTERLEAVINGS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <unordered_set>
#include <vector>

namespace anywire::test {

class Interleavings {
 public:
  static constexpr int kWords = 16;
  static constexpr int kBells = 4;

  enum class Order { kRelaxed, kRelease, kSeqCst };

  // What a side does; valid on its run.
  class Side {
   public:
    uint64_t Load(int word) { return Do({Op::kLoad, word, 0, Order::kRelaxed}); }
    void Store(int word, uint64_t value, Order order) { Do({Op::kStore, word, value, order}); }
    // A counting semaphore.
    void Ring(int bell) { Do({Op::kRing, bell, 0, Order::kRelaxed}); }
    void WaitForRing(int bell) { Do({Op::kWaitForRing, bell, 0, Order::kRelaxed}); }
    // How often it has been rung and not been waited for.
    uint64_t Rings(int bell) { return Do({Op::kRings, bell, 0, Order::kRelaxed}); }
    // futex(2), without a limit in time.
    void FutexWake(int word) { Do({Op::kFutexWake, word, 0, Order::kRelaxed}); }
    void FutexWait(int word, uint64_t value) { Do({Op::kFutexWait, word, value, Order::kRelaxed}); }
    // With one, which is longer than all else that can happen.
    void FutexWaitForAWhile(int word, uint64_t value) {
      Do({Op::kFutexWaitForAWhile, word, value, Order::kRelaxed});
    }
    // What must hold; the first that does not ends the search.
    void Check(bool condition, const char* what) {
      if (!condition && failure_.empty()) failure_ = what;
    }

   private:
    friend class Interleavings;
    struct Op {
      enum Kind : uint8_t {
        kLoad,
        kStore,
        kRing,
        kWaitForRing,
        kRings,
        kFutexWake,
        kFutexWait,
        kFutexWaitForAWhile,
      } kind;
      int at;
      uint64_t value;
      Order order;
    };
    struct NotYet {};  // thrown at the first operation that has no result yet

    uint64_t Do(const Op& op) {
      if (done_ == results_->size()) {
        next_ = op;
        throw NotYet();
      }
      return (*results_)[done_++];
    }

    const std::vector<uint64_t>* results_ = nullptr;
    size_t done_ = 0;
    Op next_ = {};
    std::string failure_;
  };
  using Program = std::function<void(Side&)>;

  struct Outcome {
    std::string failure;  // "" when every run ends well
    size_t states = 0;
    size_t time_outs = 0;  // in so many of them nothing could happen but that a while was over
  };
  // All runs of the two together, from memory that is zero.
  static Outcome Explore(const Program& first, const Program& second);

 private:
  struct Buffered {
    int word;
    uint64_t value;
    bool release;
  };
  struct State {
    std::vector<uint64_t> results[2];
    std::vector<Buffered> buffer[2];
    uint64_t memory[kWords] = {};
    uint32_t bells[kBells] = {};
    int asleep[2] = {-1, -1};  // in FutexWait on this word
    bool for_a_while[2] = {false, false};
    std::string Key() const;
  };
  // Whether it may take its step now; if so, takes it.
  static bool Step(State& state, int side, const Side::Op& op);
};

// ---- implementation

inline std::string Interleavings::State::Key() const {
  std::string key;
  const auto add = [&key](uint64_t value) {
    key.append(reinterpret_cast<const char*>(&value), sizeof(value));
  };
  for (int side : {0, 1}) {
    add(results[side].size());
    for (uint64_t result : results[side]) add(result);
    add(buffer[side].size());
    for (const Buffered& store : buffer[side]) {
      add(static_cast<uint64_t>(store.word) << 1 | (store.release ? 1 : 0));
      add(store.value);
    }
    add(static_cast<uint64_t>(asleep[side]));
    add(for_a_while[side] ? 1 : 0);
  }
  for (uint64_t word : memory) add(word);
  for (uint32_t bell : bells) add(bell);
  return key;
}

inline bool Interleavings::Step(State& state, int side, const Side::Op& op) {
  using Op = Side::Op;
  uint64_t result = 0;
  switch (op.kind) {
    case Op::kLoad:
      result = state.memory[op.at];
      for (const Buffered& store : state.buffer[side]) {
        if (store.word == op.at) result = store.value;
      }
      break;
    case Op::kStore:
      if (op.order == Order::kSeqCst) {
        for (const Buffered& store : state.buffer[side]) state.memory[store.word] = store.value;
        state.buffer[side].clear();
        state.memory[op.at] = op.value;
      } else {
        state.buffer[side].push_back({op.at, op.value, op.order == Order::kRelease});
      }
      break;
    case Op::kRing:
      ++state.bells[op.at];
      break;
    case Op::kWaitForRing:
      if (state.bells[op.at] == 0) return false;
      --state.bells[op.at];
      break;
    case Op::kRings:
      result = state.bells[op.at];
      break;
    case Op::kFutexWake:
      if (state.asleep[1 - side] == op.at) {
        state.asleep[1 - side] = -1;
        state.results[1 - side].push_back(0);
      }
      break;
    case Op::kFutexWait:
    case Op::kFutexWaitForAWhile:
      if (state.memory[op.at] == op.value) {
        state.asleep[side] = op.at;
        state.for_a_while[side] = op.kind == Op::kFutexWaitForAWhile;
        return true;  // its result comes with the wake
      }
      break;
  }
  state.results[side].push_back(result);
  return true;
}

inline Interleavings::Outcome Interleavings::Explore(const Program& first, const Program& second) {
  const Program* const programs[2] = {&first, &second};
  Outcome outcome;
  std::unordered_set<std::string> seen;
  std::vector<State> to_visit(1);
  seen.insert(to_visit[0].Key());
  while (!to_visit.empty()) {
    const State state = std::move(to_visit.back());
    to_visit.pop_back();
    ++outcome.states;
    bool moved = false;
    const auto visit = [&moved, &seen, &to_visit](State next) {
      moved = true;
      if (seen.insert(next.Key()).second) to_visit.push_back(std::move(next));
    };
    int ended = 0;
    for (int side : {0, 1}) {
      // A store leaves its buffer.
      const std::vector<Buffered>& buffer = state.buffer[side];
      for (size_t i = 0; i < buffer.size(); ++i) {
        bool may = !buffer[i].release || i == 0;
        for (size_t before = 0; before < i; ++before) may &= buffer[before].word != buffer[i].word;
        if (!may) continue;
        State next = state;
        next.memory[buffer[i].word] = buffer[i].value;
        next.buffer[side].erase(next.buffer[side].begin() + static_cast<ptrdiff_t>(i));
        visit(std::move(next));
      }
      if (state.asleep[side] >= 0) continue;
      // Or the side takes its next step.
      Side run;
      run.results_ = &state.results[side];
      bool at_end = true;
      try {
        (*programs[side])(run);
      } catch (const Side::NotYet&) {
        at_end = false;
      }
      if (!run.failure_.empty()) {
        outcome.failure = run.failure_;
        return outcome;
      }
      if (at_end) {
        ++ended;
        continue;
      }
      State next = state;
      if (Step(next, side, run.next_)) visit(std::move(next));
    }
    if (moved || ended == 2) continue;
    State next = state;
    for (int side : {0, 1}) {
      if (next.asleep[side] < 0 || !next.for_a_while[side]) continue;
      next.asleep[side] = -1;
      next.results[side].push_back(0);
      ++outcome.time_outs;
      visit(next);
      break;
    }
    if (moved) continue;
    outcome.failure = "a side sleeps for ever";
    return outcome;
  }
  return outcome;
}

}  // namespace anywire::test

#endif  // ANYWIRE_TRANSPORTS_SHM_INTERLEAVINGS_H_
