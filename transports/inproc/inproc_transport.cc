#include "transports/inproc/inproc_transport.h"

#include <deque>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "anywire/loop_turns.h"
#include "transports/inproc/inproc_connection.h"

namespace anywire {
namespace {

using Accepted = absl::StatusOr<std::unique_ptr<Connection>>;

std::string Uri(absl::string_view name) { return absl::StrCat("inproc:", name); }

}  // namespace

// Where connecting sides, on any loop, meet the listener, on its own.
class InprocTransport::Backlog : public std::enable_shared_from_this<Backlog> {
 public:
  explicit Backlog(EventLoop& loop) : loop_(loop) {}

  // ANY THREAD.
  absl::Status Push(std::shared_ptr<InprocLink> link) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (listener_ == nullptr) return absl::UnavailableError("the listener is closed");
    if (links_.size() >= kBacklog) {
      return absl::ResourceExhaustedError("too many connections wait to be accepted");
    }
    links_.push_back(std::move(link));
    // While there is a listener there is its loop.
    loop_.Post([self = shared_from_this()] { self->Tell(); });
    return absl::OkStatus();
  }

  // The rest is for the listener's thread.
  bool closed() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return listener_ == nullptr;
  }
  std::shared_ptr<InprocLink> Pop() {
    std::lock_guard<std::mutex> lock(mutex_);
    if (links_.empty()) return nullptr;
    std::shared_ptr<InprocLink> link = std::move(links_.front());
    links_.pop_front();
    return link;
  }
  void Open(InprocListener* listener) {
    std::lock_guard<std::mutex> lock(mutex_);
    listener_ = listener;
  }
  // Takes no more links; those that are there stay.
  void Close() { Open(nullptr); }
  void Clear() {
    while (std::shared_ptr<InprocLink> link = Pop()) link->Abort(1);
  }

 private:
  void Tell();

  EventLoop& loop_;
  mutable std::mutex mutex_;
  std::deque<std::shared_ptr<InprocLink>> links_;  // guarded by mutex_
  InprocListener* listener_ = nullptr;             // guarded by mutex_; set on its own thread only
};

class InprocTransport::InprocListener final : public Listener {
 public:
  InprocListener(InprocTransport& transport, EventLoop& loop, std::string name,
                 std::shared_ptr<Backlog> backlog, const ListenOptions& options)
      : transport_(transport),
        name_(std::move(name)),
        address_(Uri(name_)),
        turns_(loop, options),
        backlog_(std::move(backlog)) {
    backlog_->Open(this);
  }

  ~InprocListener() noexcept override {
    Close();
    backlog_->Clear();
  }

  void Close() override {
    if (backlog_->closed()) return;
    {
      std::lock_guard<std::mutex> lock(transport_.mutex_);
      transport_.listening_.erase(name_);
    }
    backlog_->Close();
    OnConnection();  // a link may have come that it has not been told of
    if (std::exchange(has_waiting_, false)) waiting_->fulfill(Closed());
  }

  kj::Promise<Accepted> Accept() override {
    if (std::shared_ptr<InprocLink> link = backlog_->Pop()) return Make(std::move(link));
    if (backlog_->closed()) return Closed();
    auto pair = kj::newPromiseAndFulfiller<Accepted>();
    waiting_ = kj::mv(pair.fulfiller);
    has_waiting_ = true;
    return kj::mv(pair.promise);
  }
  const std::string& address() const override { return address_; }

  void OnConnection() {
    if (!has_waiting_ || !waiting_->isWaiting()) return;
    if (std::shared_ptr<InprocLink> link = backlog_->Pop()) {
      has_waiting_ = false;
      waiting_->fulfill(Make(std::move(link)));
    }
  }

 private:
  static Accepted Closed() { return absl::UnavailableError("the listener is closed"); }
  Accepted Make(std::shared_ptr<InprocLink> link) {
    return std::make_unique<InprocConnection>(turns_.Next(), std::move(link), 1, address_);
  }

  InprocTransport& transport_;
  const std::string name_;
  const std::string address_;
  LoopTurns turns_;
  const std::shared_ptr<Backlog> backlog_;
  kj::Own<kj::PromiseFulfiller<Accepted>> waiting_;
  bool has_waiting_ = false;
};

void InprocTransport::Backlog::Tell() {
  InprocListener* listener;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    listener = listener_;
  }
  if (listener != nullptr) listener->OnConnection();
}

absl::Status InprocTransport::CheckAddress(absl::string_view address) const {
  if (address.empty())
    return absl::InvalidArgumentError("the name is missing; allowed: inproc:name");
  if (address.size() > kMaxNameLength) {
    return absl::InvalidArgumentError(
        absl::StrCat("the name has ", address.size(), " bytes; allowed: at most ", kMaxNameLength));
  }
  return absl::OkStatus();
}

kj::Promise<Accepted> InprocTransport::Connect(EventLoop& loop, absl::string_view address,
                                               const ConnectOptions&) {
  absl::Status status = CheckAddress(address);
  if (!status.ok()) return Accepted(std::move(status));
  std::shared_ptr<Backlog> backlog;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    auto found = listening_.find(address);
    if (found != listening_.end()) backlog = found->second;
  }
  if (backlog == nullptr) {
    return Accepted(absl::UnavailableError(absl::StrCat("nobody listens at ", Uri(address))));
  }
  auto link = std::make_shared<InprocLink>();
  status = backlog->Push(link);
  if (!status.ok()) return Accepted(std::move(status));
  return Accepted(std::make_unique<InprocConnection>(loop, std::move(link), 0, Uri(address)));
}

absl::StatusOr<std::unique_ptr<Listener>> InprocTransport::Listen(EventLoop& loop,
                                                                  absl::string_view address,
                                                                  const ListenOptions& options) {
  absl::Status status = CheckAddress(address);
  if (!status.ok()) return status;
  auto backlog = std::make_shared<Backlog>(loop);
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!listening_.try_emplace(std::string(address), backlog).second) {
      return absl::AlreadyExistsError(absl::StrCat("another server listens at ", Uri(address)));
    }
  }
  return std::make_unique<InprocListener>(*this, loop, std::string(address), std::move(backlog),
                                          options);
}

std::string InprocTransport::FreshAddress(absl::string_view) {
  std::random_device random;
  return absl::StrCat("fresh-", absl::Hex(random(), absl::kZeroPad8),
                      absl::Hex(random(), absl::kZeroPad8));
}

}  // namespace anywire
