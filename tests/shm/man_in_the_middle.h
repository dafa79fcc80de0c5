// Somebody between a client and a server of shared memory who passes on all that they say, and with
// it has their memory.
#ifndef ANYWIRE_TESTS_SHM_MAN_IN_THE_MIDDLE_H_
#define ANYWIRE_TESTS_SHM_MAN_IN_THE_MIDDLE_H_

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "transports/shm/shm_region.h"
#include "transports/stream/unique_fd.h"

namespace anywire::test {

class ManInTheMiddle {
 public:
  // Listens at `path` and connects to the server at `server_path`, which has rings of `ring_size`.
  ManInTheMiddle(const std::string& path, const std::string& server_path, size_t ring_size);
  // Ends all connections that are left.
  ~ManInTheMiddle();

  // The memory of the last connection that was made, or null.
  std::shared_ptr<ShmRegion> region() const;
  int connections() const { return connections_.load(); }

 private:
  void Run();
  void Relay(UniqueFd client);

  const std::string server_path_;
  const size_t ring_size_;
  UniqueFd listening_;
  std::atomic<bool> ending_{false};
  std::atomic<int> connections_{0};
  mutable absl::Mutex mutex_;
  std::shared_ptr<ShmRegion> region_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> relays_;  // Run's
  std::thread thread_;
};

}  // namespace anywire::test

#endif  // ANYWIRE_TESTS_SHM_MAN_IN_THE_MIDDLE_H_
