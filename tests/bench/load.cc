#include "tests/bench/load.h"

#include <stdio.h>
#include <sys/prctl.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <iostream>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "absl/strings/str_format.h"
#include "tests/bench/histogram.h"
#include "tests/bench/meter.h"
#include "tests/bench/repeated_calls.h"
#include "tests/bench/usage.h"

namespace anywire::bench {
namespace {

using std::chrono::steady_clock;

constexpr size_t kBulkSize = 1 << 20;
// The calls before the first that is counted, where calls are counted instead of timed.
constexpr uint64_t kUncountedCalls = 200;
constexpr size_t kCountedInFlight = 64;
// So many times as many calls as else, so that how they begin and end does not count.
constexpr uint64_t kMoreInFlight = 16;
// What has not ended so long after the measurement never will.
constexpr std::chrono::seconds kPatience{30};

EchoMessage MessageOf(size_t size) {
  EchoMessage message;
  message.set_payload(std::string(size, 'x'));
  return message;
}

// Whoever drives this program notes what it wants to note, then says a line.
void NoteAndWait() {
  NoteUsage();
  std::string line;
  std::getline(std::cin, line);
}

class Load {
 public:
  Load(System& system, const std::string& address, pid_t server, const Parameters& parameters)
      : system_(system),
        address_(address),
        parameters_(parameters),
        meter_(server),
        size_(Count("size", 64)),
        threads_(Count("threads", 1)),
        in_flight_(Count("in_flight", 0)),
        seconds_(parameters.Number("seconds", 1)),
        request_(MessageOf(size_)) {}

  void Run() {
    const std::string pattern = parameters_.Text("pattern", "calls");
    if (pattern == "idle") return Idle();
    if (pattern == "counted") return Counted();
    if (pattern == "connect") return ConnectAndCall();
    client_ = system_.Connect(address_, parameters_);
    if (pattern == "calls") {
      in_flight_ > 0 ? CallsInFlight() : WaitingCalls();
    } else if (pattern == "open") {
      OpenLoop();
    } else if (pattern == "mixed") {
      CallsBesideBulk();
    } else if (pattern == "upload") {
      Upload();
    } else if (pattern == "chat") {
      Chat();
    } else {
      Die("no such pattern: " + pattern);
    }
  }

 private:
  size_t Count(const std::string& key, double otherwise) const {
    const double number = parameters_.Number(key, otherwise);
    if (number < 0) Die(key + " is negative");
    return static_cast<size_t>(number);
  }

  // What was counted is `calls` things of `bytes` bytes in one direction; `more` may add members.
  void Print(uint64_t calls, uint64_t bytes, const std::string& more = "") {
    std::string json = absl::StrFormat(R"({"calls": %d, "bytes": %d, %s, %s)", calls, bytes,
                                       meter_.Json(), LatencyJson(latencies_));
    if (!more.empty()) json += ", " + more;
    printf("%s}\n", json.c_str());
    fflush(stdout);
  }
  void PrintCalls(uint64_t calls, const std::string& more = "") {
    Print(calls, calls * size_, more);
  }

  void WaitingCalls();
  uint64_t CallInWindow(const Window& window, bool measures);
  void CallsInFlight();
  void OpenLoop();
  void CallsBesideBulk();
  void Upload();
  void Chat();
  void ConnectAndCall();
  void Idle();
  void Counted();
  template <typename Done>
  void AwaitEnd(Done done);

  System& system_;
  const std::string address_;
  const Parameters& parameters_;
  Meter meter_;
  const size_t size_;
  const size_t threads_;
  const size_t in_flight_;
  const double seconds_;
  const EchoMessage request_;
  Histogram latencies_;
  std::unique_ptr<Client> client_;
};

template <typename Done>
void Load::AwaitEnd(Done done) {
  const Instant limit = steady_clock::now() + kPatience;
  while (!done()) {
    const Instant now = steady_clock::now();
    if (now > limit) Die("calls that do not end");
    client_->SleepUntil(now + std::chrono::milliseconds(1));
  }
}

// ---- calls that wait

// One thread's; how many were made within the window. One thread of them holds the meter.
uint64_t Load::CallInWindow(const Window& window, bool measures) {
  uint64_t calls = 0;
  bool measuring = false;
  Instant last = steady_clock::now();
  // One at least, however long it takes.
  while (last < window.until || calls == 0) {
    if (!measuring && last >= window.from) {
      measuring = true;
      if (measures) {
        meter_.Start();
        last = steady_clock::now();
      }
    }
    client_->Call(request_);
    const Instant now = steady_clock::now();
    if (measuring) {
      latencies_.Record(Nanoseconds(now - last));
      ++calls;
    }
    last = now;
  }
  if (measures) meter_.Stop();
  return calls;
}

void Load::WaitingCalls() {
  const Window window(seconds_);
  std::atomic<uint64_t> calls{0};
  std::vector<std::thread> others;
  for (size_t i = 1; i < threads_; ++i) {
    others.emplace_back([&] { calls += CallInWindow(window, false); });
  }
  calls += CallInWindow(window, true);
  for (std::thread& thread : others) thread.join();
  PrintCalls(calls);
}

// ---- calls in flight

void Load::CallsInFlight() {
  EchoMessage slow_request = request_;
  slow_request.set_delay_us(static_cast<uint32_t>(Count("delay_us", 0)));
  Flight flight;
  flight.latencies = &latencies_;
  flight.request = &request_;
  flight.slow_request = &slow_request;
  flight.slow_every = Count("slow_every", 0);
  flight.running = in_flight_;
  // With many in flight, reading the clock for each call would be a good part of the call.
  const size_t timed_every = in_flight_ >= 64 ? 8 : 1;
  std::vector<std::unique_ptr<CallInFlight>> calls;
  for (size_t i = 0; i < in_flight_; ++i) {
    calls.push_back(std::make_unique<CallInFlight>(flight, i, i % timed_every == 0));
  }
  const Window window(seconds_);
  for (const auto& call : calls) client_->Start(*call);
  client_->SleepUntil(window.from);
  meter_.Start();
  flight.phase = Phase::kMeasured;
  client_->SleepUntil(window.until);
  const auto total = [&calls] {
    uint64_t sum = 0;
    for (const auto& call : calls) sum += call->calls();
    return sum;
  };
  // One at least, however long it takes.
  AwaitEnd([&] { return total() > 0; });
  flight.phase = Phase::kOver;
  meter_.Stop();
  AwaitEnd([&] { return flight.running.load(std::memory_order_acquire) == 0; });
  PrintCalls(total());
}

// ---- calls at given times

void Load::OpenLoop() {
  // As many may be late at a time before the next has to wait for them, which its latency then
  // says.
  constexpr size_t kMostInFlight = 4096;
  const double rate = parameters_.Number("rate", 0);
  prctl(PR_SET_TIMERSLACK, 1);  // ns
  std::mt19937_64 random(Count("seed", 1));
  std::exponential_distribution<double> gap(std::max(rate, 1e-9));

  const Window window(seconds_);
  std::vector<std::unique_ptr<DueCall>> calls;
  for (size_t i = 0; i < kMostInFlight; ++i) {
    calls.push_back(std::make_unique<DueCall>(request_, latencies_));
  }
  Histogram lateness;  // of the load itself
  bool measuring = false;
  uint64_t due_calls = 0;
  size_t next = 0;
  Instant due = steady_clock::now();
  for (Instant now = due; now < window.until || !measuring; now = steady_clock::now()) {
    if (rate == 0) {
      due = now;
    } else {
      due += Window::Span(gap(random));
      if (due >= window.until && measuring) break;
      if (now < due) {
        std::this_thread::sleep_until(due);
        now = steady_clock::now();
      }
    }
    if (now >= window.from) {
      if (!measuring) meter_.Start();
      measuring = true;
      ++due_calls;
      lateness.Record(Nanoseconds(now - due));
    }
    DueCall& call = *calls[next++ % kMostInFlight];
    while (call.busy()) std::this_thread::yield();
    call.Begin(due, measuring);
    client_->Start(call);
  }
  AwaitEnd([&] {
    return std::none_of(calls.begin(), calls.end(), [](const auto& call) { return call->busy(); });
  });
  meter_.Stop();
  PrintCalls(due_calls, absl::StrFormat(R"("rate": %.3f, "sent_late_p50_us": %.3f)", rate,
                                        static_cast<double>(lateness.Quantile(0.5)) / 1e3));
}

// ---- streams

// Sets a flag after a time, on a thread of its own.
class Stopper {
 public:
  Stopper(std::atomic<bool>& flag, double seconds)
      : thread_([&flag, until = steady_clock::now() + Window::Span(seconds)] {
          std::this_thread::sleep_until(until);
          flag = true;
        }) {}
  ~Stopper() { thread_.join(); }

 private:
  std::thread thread_;
};

void Load::Upload() {
  uint64_t messages = 0;
  for (const double seconds : {seconds_ / 5, seconds_}) {
    std::atomic<bool> stop{false};
    const Stopper stopper(stop, seconds);
    meter_.Start();
    messages = client_->Upload(request_, stop);
    meter_.Stop();
  }
  PrintCalls(messages);
}

void Load::Chat() {
  ChatProgress progress;
  const Window window(seconds_);
  uint64_t messages = 0;
  std::thread observer([&] {
    std::this_thread::sleep_until(window.from);
    meter_.Start();
    const uint64_t before = progress.received;
    std::this_thread::sleep_until(window.until);
    messages = progress.received - before;
    meter_.Stop();
    progress.stop = true;
  });
  client_->Chat(request_, progress);
  observer.join();
  PrintCalls(messages);
}

void Load::CallsBesideBulk() {
  const EchoMessage bulk = MessageOf(kBulkSize);
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> messages{0};
  std::vector<std::thread> streams;
  const Instant start = steady_clock::now();
  for (size_t i = 0; i < Count("bulk", 2); ++i) {
    streams.emplace_back([&] { messages += client_->Upload(bulk, stop); });
  }
  const uint64_t calls = CallInWindow(Window(seconds_), true);
  stop = true;
  for (std::thread& stream : streams) stream.join();
  const std::chrono::duration<double> all = steady_clock::now() - start;
  PrintCalls(calls, absl::StrFormat(R"("bulk_bytes_per_s": %.0f)",
                                    static_cast<double>(messages * kBulkSize) / all.count()));
}

// ---- connections

void Load::ConnectAndCall() {
  const Window window(seconds_);
  uint64_t calls = 0;
  bool measuring = false;
  while (steady_clock::now() < window.until || calls == 0) {
    if (!measuring && steady_clock::now() >= window.from) {
      meter_.Start();
      measuring = true;
    }
    const Instant start = steady_clock::now();
    client_ = system_.Connect(address_, parameters_);
    client_->Call(request_);
    if (measuring) {
      latencies_.Record(Nanoseconds(steady_clock::now() - start));
      ++calls;
    }
    client_ = nullptr;
  }
  meter_.Stop();
  PrintCalls(calls);
}

void Load::Idle() {
  std::vector<std::unique_ptr<Client>> clients;
  // What the first few cost is the process's, not the connections'.
  for (const size_t connections : {size_t{50}, Count("connections", 1000)}) {
    for (size_t i = 0; i < connections; ++i) {
      clients.push_back(system_.Connect(address_, parameters_));
      clients.back()->Call(request_);
    }
    // Whatever is given back a moment after a call.
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    NoteAndWait();
  }
}

// ---- calls that are counted

void Load::Counted() {
  const uint64_t calls = Count("calls", 1000);
  struct Form {
    const char* name;
    size_t in_flight;  // 0: waits
    uint64_t calls;
  };
  for (const Form& form :
       {Form{"blocking", 0, calls}, Form{"callback", 1, calls}, Form{"coroutine", 1, calls},
        Form{"callback", kCountedInFlight, kMoreInFlight * calls}}) {
    Parameters parameters = parameters_;
    parameters.Add(absl::StrFormat("form=%s", form.name));
    client_ = system_.Connect(address_, parameters);
    for (const uint64_t part : {kUncountedCalls, form.calls}) {
      if (form.in_flight == 0) {
        for (uint64_t i = 0; i < part; ++i) client_->Call(request_);
      } else {
        CountedCall::Count count(form.in_flight, part);
        std::deque<CountedCall> in_flight;
        for (size_t i = 0; i < form.in_flight; ++i) in_flight.emplace_back(request_, count);
        for (CountedCall& call : in_flight) client_->Start(call);
        count.ended.WaitForNotification();
      }
      NoteAndWait();
    }
  }
}

}  // namespace

void RunLoad(System& system, const std::string& address, pid_t server,
             const Parameters& parameters) {
  Load(system, address, server, parameters).Run();
}

}  // namespace anywire::bench
