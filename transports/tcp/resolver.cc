#include "transports/tcp/resolver.h"

#include <deque>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace anywire {

struct Resolver::Lookup {
  explicit Lookup(HostPort host_port) : host_port(std::move(host_port)) {}

  const HostPort host_port;
  Adapter* adapter = nullptr;  // the loop's; null: nobody waits any more
  absl::Mutex mutex;
  EventLoop* loop ABSL_GUARDED_BY(mutex) = nullptr;  // null: as above; while set, it exists
};

struct Resolver::Queue {
  explicit Queue(LookUpFunction function) : function(function) {}

  static void Work(std::shared_ptr<Queue> queue);
  bool Add(const std::shared_ptr<Queue>& self, std::shared_ptr<Lookup> lookup);
  void Clear();

  const LookUpFunction function;
  absl::Mutex mutex;
  std::deque<std::shared_ptr<Lookup>> waiting ABSL_GUARDED_BY(mutex);
  int threads ABSL_GUARDED_BY(mutex) = 0;
};

// The waiting side of a lookup; lives in the promise.
class Resolver::Adapter {
 public:
  Adapter(kj::PromiseFulfiller<Addresses>& fulfiller, EventLoop& loop,
          const std::shared_ptr<Queue>& queue, std::shared_ptr<Lookup> lookup)
      : fulfiller_(fulfiller), lookup_(std::move(lookup)) {
    lookup_->adapter = this;
    {
      absl::MutexLock lock(&lookup_->mutex);
      lookup_->loop = &loop;
    }
    if (!queue->Add(queue, lookup_)) {
      fulfiller_.fulfill(Addresses(absl::ResourceExhaustedError("too many name lookups at once")));
    }
  }
  ~Adapter() {
    lookup_->adapter = nullptr;
    absl::MutexLock lock(&lookup_->mutex);
    lookup_->loop = nullptr;
  }
  void Done(Addresses addresses) { fulfiller_.fulfill(std::move(addresses)); }

 private:
  kj::PromiseFulfiller<Addresses>& fulfiller_;
  const std::shared_ptr<Lookup> lookup_;
};

bool Resolver::Queue::Add(const std::shared_ptr<Queue>& self, std::shared_ptr<Lookup> lookup) {
  absl::MutexLock lock(&mutex);
  if (waiting.size() >= kMaxWaiting) return false;
  waiting.push_back(std::move(lookup));
  if (threads == kMaxThreads) return true;
  try {
    std::thread(&Queue::Work, self).detach();
  } catch (const std::system_error&) {
    if (threads != 0) return true;
    waiting.pop_back();
    return false;
  }
  ++threads;
  return true;
}

void Resolver::Queue::Work(std::shared_ptr<Queue> queue) {
  for (;;) {
    std::shared_ptr<Lookup> lookup;
    {
      absl::MutexLock lock(&queue->mutex);
      if (queue->waiting.empty()) {
        --queue->threads;
        return;
      }
      lookup = std::move(queue->waiting.front());
      queue->waiting.pop_front();
    }
    {
      absl::MutexLock lock(&lookup->mutex);
      if (lookup->loop == nullptr) continue;
    }
    Addresses addresses = queue->function(lookup->host_port);
    absl::MutexLock lock(&lookup->mutex);
    if (lookup->loop == nullptr) continue;
    lookup->loop->Post([lookup, addresses = std::move(addresses)]() mutable {
      if (lookup->adapter != nullptr) lookup->adapter->Done(std::move(addresses));
    });
  }
}

void Resolver::Queue::Clear() {
  std::deque<std::shared_ptr<Lookup>> dropped;
  absl::MutexLock lock(&mutex);
  dropped.swap(waiting);
}

Resolver::Resolver()
    : Resolver(
          [](const HostPort& host_port) { return LookUp(host_port, /*numeric_only=*/false); }) {}

Resolver::Resolver(LookUpFunction function) : queue_(std::make_shared<Queue>(function)) {}

Resolver::~Resolver() { queue_->Clear(); }

kj::Promise<Resolver::Addresses> Resolver::Resolve(EventLoop& loop, HostPort host_port) {
  Addresses numeric = LookUp(host_port, /*numeric_only=*/true);
  if (numeric.ok()) return numeric;
  return kj::newAdaptedPromise<Addresses, Adapter>(loop, queue_,
                                                   std::make_shared<Lookup>(std::move(host_port)));
}

}  // namespace anywire
