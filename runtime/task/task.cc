#include "anywire/task.h"

#include <exception>
#include <memory>
#include <utility>

namespace anywire {
namespace {

class Spawned final : public Operation {
 public:
  explicit Spawned(Task<void> task) : task_(std::move(task)) {}
  void Start() { task_.Start(*this); }
  void Done(bool) override {
    const std::unique_ptr<Spawned> self(this);
    try {
      task_.Take();
    } catch (...) {
      std::terminate();  // what it threw has no one to go to; here its text is printed
    }
  }

  static void* operator new(size_t size) { return internal::AllocateFrame(size); }
  static void operator delete(void* memory, size_t size) { internal::FreeFrame(memory, size); }

 private:
  Task<void> task_;
};

}  // namespace

void Spawn(Task<void> task) { (new Spawned(std::move(task)))->Start(); }

}  // namespace anywire
