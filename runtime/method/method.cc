#include "anywire/method.h"

#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"

namespace anywire {
namespace {

// Every name that was ever called or bound here. It only grows, and only with the methods in the
// program.
struct NameTable {
  absl::Mutex mutex;
  absl::flat_hash_map<std::string, uint32_t> indices ABSL_GUARDED_BY(mutex);
};

NameTable& Names() {
  static NameTable* const table =
      new NameTable;  // never destroyed: calls may be made while the process ends
  return *table;
}

}  // namespace

uint32_t Method::AssignIndex() const {
  NameTable& names = Names();
  const absl::MutexLock lock(&names.mutex);
  const auto next = static_cast<uint32_t>(names.indices.size() + 1);
  const uint32_t index = names.indices.try_emplace(full_name_, next).first->second;
  index_.store(index, std::memory_order_release);
  return index;
}

}  // namespace anywire
