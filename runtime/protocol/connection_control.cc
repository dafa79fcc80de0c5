#include "runtime/protocol/connection_control.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace anywire::protocol {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

// Pings are for finding out that nobody is there, at times of seconds. More than a hundred a
// second, for more than a second, are a mistake or an attack.
constexpr int64_t kPingBurst = 100;
constexpr nanoseconds kPingInterval = milliseconds(10);

constexpr nanoseconds kForever = std::chrono::hours(24 * 365);

nanoseconds AtLeastPingInterval(nanoseconds time) {
  return std::clamp(time, kPingInterval, kForever);
}

std::string Seconds(nanoseconds time) {
  return absl::StrFormat("%g s", std::chrono::duration<double>(time).count());
}

}  // namespace

ConnectionControl::ConnectionControl(FrameSink& sink, TimingWheel& timers, const Limits& limits,
                                     const wire::Hello& hello, Instant now)
    : sink_(sink),
      timers_(timers),
      handshake_timeout_(std::clamp(limits.handshake_timeout, nanoseconds(0), kForever)),
      keepalive_time_(AtLeastPingInterval(limits.keepalive_time)),
      keepalive_timeout_(AtLeastPingInterval(limits.keepalive_timeout)),
      hello_(std::make_unique<wire::Hello>(hello)),
      last_received_(now),
      ping_sent_(now),
      pings_allowed_(kPingBurst),
      pings_refilled_(now) {
  timers_.Set(handshake_timer_, now + handshake_timeout_);
}

bool ConnectionControl::Write() {
  if (pending_ & kGoodbye) {
    const std::string text(goodbye_.message());
    if (!WriteFrame(wire::EncodeGoaway({static_cast<uint8_t>(goodbye_.code()), text})))
      return false;
    pending_ = 0;
    return true;
  }
  if (pending_ & kHello) {
    if (!WriteFrame(wire::EncodeHello(*hello_))) return false;
    hello_ = nullptr;
    pending_ &= static_cast<uint8_t>(~kHello);
  }
  if (pending_ & kPong) {
    if (!WritePingFrame(wire::kPong, pong_value_)) return false;
    pending_ &= static_cast<uint8_t>(~kPong);
  }
  if (pending_ & kPing) {
    if (!WritePingFrame(wire::kPing, ping_value_)) return false;
    pending_ &= static_cast<uint8_t>(~kPing);
  }
  if (pending_ & kDraining) {
    if (!WriteFrame(wire::EncodeGoaway({0, ""}))) return false;
    pending_ &= static_cast<uint8_t>(~kDraining);
  }
  return true;
}

bool ConnectionControl::WriteFrame(absl::string_view frame) {
  const absl::Span<uint8_t> room = sink_.NewFrame(0, frame.size());
  if (room.data() == nullptr) return false;
  std::memcpy(room.data(), frame.data(), frame.size());
  return true;
}

bool ConnectionControl::WritePingFrame(uint8_t kind, uint64_t value) {
  const absl::Span<uint8_t> room = sink_.NewFrame(0, wire::kPingFrameSize);
  if (room.data() == nullptr) return false;
  wire::WritePing(kind, value, room.data());
  return true;
}

void ConnectionControl::SayDraining() { pending_ |= kDraining; }

void ConnectionControl::SayGoodbye(const absl::Status& why) {
  goodbye_ = why;
  pending_ = kGoodbye;
}

absl::Status ConnectionControl::OnFrame(absl::Span<const uint8_t> bytes, Instant now, News* news) {
  const uint8_t kind = bytes[0];
  if (!has_peer_hello_ && kind != wire::kHello) {
    // A peer that could not accept us may say so at once.
    if (kind == wire::kGoaway) return OnGoaway(bytes, news);
    return absl::DataLossError("the first frame is not HELLO");
  }
  switch (kind) {
    case wire::kHello:
      return OnHello(bytes, news);
    case wire::kPing:
      return OnPing(bytes, now);
    case wire::kPong: {
      uint64_t value = 0;
      if (const char* wrong = wire::ReadPing(bytes, &value)) return absl::DataLossError(wrong);
      // One PONG may answer several PINGs, and come when later ones are on their way.
      if (value <= last_pong_ || value > ping_value_) {
        return absl::DataLossError("PONG: nobody asked");
      }
      last_pong_ = value;
      if (value == ping_value_) ping_outstanding_ = false;
      return absl::OkStatus();
    }
    case wire::kGoaway:
      return OnGoaway(bytes, news);
    case wire::kCredit:
      if (const char* wrong = wire::ReadCredit(bytes, &news->credit)) {
        return absl::DataLossError(wrong);
      }
      return absl::OkStatus();
    case wire::kExcessCredit:
      if (const char* wrong = wire::ReadExcessCredit(bytes, &news->excess_credit)) {
        return absl::DataLossError(wrong);
      }
      return absl::OkStatus();
    default:
      return absl::DataLossError("unknown frame on stream 0");
  }
}

absl::Status ConnectionControl::OnHello(absl::Span<const uint8_t> bytes, News* news) {
  if (has_peer_hello_) return absl::DataLossError("HELLO: a second one");
  wire::Hello hello;
  if (const char* wrong = wire::ReadHello(bytes, &hello)) return absl::DataLossError(wrong);
  if (hello.lowest_version > wire::kVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat("the peer speaks anywire version ", hello.lowest_version, " to ",
                     hello.highest_version, "; here it is version ", wire::kVersion));
  }
  if (hello.required_features != 0) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "the peer requires features that are unknown here: %#x", hello.required_features));
  }
  peer_hello_ = hello;
  has_peer_hello_ = true;
  timers_.Clear(handshake_timer_);
  news->hello = true;
  return absl::OkStatus();
}

absl::Status ConnectionControl::OnPing(absl::Span<const uint8_t> bytes, Instant now) {
  if (const char* wrong = wire::ReadPing(bytes, &pong_value_)) return absl::DataLossError(wrong);
  const int64_t refill = (now - pings_refilled_) / kPingInterval;
  if (refill > 0) {
    pings_allowed_ = std::min(kPingBurst, pings_allowed_ + refill);
    pings_refilled_ += refill * kPingInterval;
  }
  if (pings_allowed_ == 0) return absl::ResourceExhaustedError("too many pings");
  --pings_allowed_;
  pending_ |= kPong;
  return absl::OkStatus();
}

absl::Status ConnectionControl::OnGoaway(absl::Span<const uint8_t> bytes, News* news) {
  wire::Goaway goaway;
  if (const char* wrong = wire::ReadGoaway(bytes, &goaway)) return absl::DataLossError(wrong);
  if (goaway.code == 0) {
    news->draining = true;
    return absl::OkStatus();
  }
  return absl::UnavailableError(
      absl::StrCat("the peer ended the connection: ",
                   absl::StatusCodeToString(static_cast<absl::StatusCode>(goaway.code)), ": ",
                   absl::CHexEscape(goaway.text)));
}

void ConnectionControl::StartKeepalive(Instant now) {
  // Silence before the call is not the peer's fault.
  last_received_ = std::max(last_received_, now);
  timers_.Set(keepalive_timer_, now + keepalive_time_);
}

absl::Status ConnectionControl::OnTimer(const TimingWheel::Timer* timer, Instant now,
                                        bool calls_open) {
  if (timer == &handshake_timer_) {
    return absl::UnavailableError(
        absl::StrCat("the peer said no hello within ", Seconds(handshake_timeout_)));
  }
  if (ping_outstanding_ && last_received_ > ping_sent_) ping_outstanding_ = false;
  if (ping_outstanding_) {
    if (now < ping_sent_ + keepalive_timeout_) {
      timers_.Set(keepalive_timer_, ping_sent_ + keepalive_timeout_);
      return absl::OkStatus();
    }
    return absl::UnavailableError(
        absl::StrCat("the peer has not answered a ping for ", Seconds(keepalive_timeout_)));
  }
  if (!calls_open) return absl::OkStatus();  // the next call sets it again
  if (now < last_received_ + keepalive_time_) {
    timers_.Set(keepalive_timer_, last_received_ + keepalive_time_);
    return absl::OkStatus();
  }
  ++ping_value_;
  pending_ |= kPing;
  ping_outstanding_ = true;
  ping_sent_ = now;
  timers_.Set(keepalive_timer_, now + keepalive_timeout_);
  return absl::OkStatus();
}

void ConnectionControl::StopTimers() {
  timers_.Clear(handshake_timer_);
  timers_.Clear(keepalive_timer_);
}

}  // namespace anywire::protocol
