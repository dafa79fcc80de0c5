#include "runtime/endpoint/testing.h"

#include <chrono>
#include <cstring>
#include <utility>

#include "gtest/gtest.h"

namespace anywire::test {

using protocol::Event;
using Clock = std::chrono::steady_clock;

// ---- ConnectionScript

void ConnectionScript::BlockAfter(size_t frames) {
  absl::MutexLock lock(&mutex_);
  allowed_ = frames;
}

void ConnectionScript::Unblock() {
  ScriptedConnection* connection;
  {
    absl::MutexLock lock(&mutex_);
    allowed_ = SIZE_MAX;
    blocked_ = refused_ = false;
    connection = connection_;
  }
  if (connection != nullptr) connection->events_->OnWritable();
}

void ConnectionScript::SetRoom(size_t frames) {
  absl::MutexLock lock(&mutex_);
  room_ = frames;
}

void ConnectionScript::MakeSendersWait() {
  absl::MutexLock lock(&mutex_);
  senders_wait_ = true;
}

void ConnectionScript::WaitForWaitingSender() {
  absl::MutexLock lock(&mutex_, absl::Condition(&sender_waits_));
}

void ConnectionScript::LetSendersLookUp() {
  absl::MutexLock lock(&mutex_);
  senders_look_up_ = true;
}

void ConnectionScript::FailTransmit(absl::Status status) {
  absl::MutexLock lock(&mutex_);
  transmit_status_ = std::move(status);
}

void ConnectionScript::SetTransmitHook(std::function<void()> hook) {
  absl::MutexLock lock(&mutex_);
  transmit_hook_ = std::move(hook);
}

void ConnectionScript::AskLoop() {
  if (asked_ || connection_ == nullptr || !watching_ || !Readable()) return;
  asked_ = true;
  connection_->SetNoLaterThan(Instant());
}

void ConnectionScript::Deliver(std::vector<TestFrame> frames) {
  absl::MutexLock lock(&mutex_);
  for (TestFrame& frame : frames) inbox_.push_back(std::move(frame));
  AskLoop();
}

void ConnectionScript::EndReceive(absl::Status status) {
  absl::MutexLock lock(&mutex_);
  end_ = std::move(status);
  AskLoop();
}

std::thread::id ConnectionScript::receiver() {
  absl::MutexLock lock(&mutex_);
  return in_receive_ && !Readable() ? receiver_ : std::thread::id();
}

void ConnectionScript::WaitForReceiver(std::thread::id id) {
  const auto waits = [this, id]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return in_receive_ && receiver_ == id && !Readable();
  };
  absl::MutexLock lock(&mutex_, absl::Condition(&waits));
}

void ConnectionScript::WaitUntilWatched() {
  absl::MutexLock lock(&mutex_, absl::Condition(&watching_));
}

bool ConnectionScript::watched() {
  absl::MutexLock lock(&mutex_);
  return watching_;
}

bool ConnectionScript::receiving() {
  absl::MutexLock lock(&mutex_);
  return in_receive_;
}

int ConnectionScript::polls() {
  absl::MutexLock lock(&mutex_);
  return polls_;
}

void ConnectionScript::WaitForPolls(int count) {
  const auto enough = [this, count]()
                          ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return polls_ >= count; };
  absl::MutexLock lock(&mutex_, absl::Condition(&enough));
}

std::vector<TestFrame> ConnectionScript::TakeSent() {
  const auto some = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return !sent_.empty(); };
  absl::MutexLock lock(&mutex_, absl::Condition(&some));
  return std::exchange(sent_, {});
}

std::vector<TestFrame> ConnectionScript::TakeSentNow() {
  absl::MutexLock lock(&mutex_);
  return std::exchange(sent_, {});
}

uint64_t ConnectionScript::transmits() {
  absl::MutexLock lock(&mutex_);
  return transmits_;
}

void ConnectionScript::WaitUntilAborted() {
  absl::MutexLock lock(&mutex_, absl::Condition(&aborted_));
}

void ConnectionScript::WaitUntilDestroyed() {
  absl::MutexLock lock(&mutex_, absl::Condition(&destroyed_));
}

bool ConnectionScript::destroyed() {
  absl::MutexLock lock(&mutex_);
  return destroyed_;
}

// ---- ScriptedConnection

ScriptedConnection::ScriptedConnection(EventLoop& loop, std::shared_ptr<ConnectionScript> script,
                                       bool waiting_is_cheaper)
    : Alarm(loop), loop_(loop), script_(std::move(script)) {
  info_.remote_address = "scripted:peer";
  info_.max_frame_size = 4096;
  info_.ordered_across_streams = true;
  info_.waiting_is_cheaper = waiting_is_cheaper;
}

ScriptedConnection::~ScriptedConnection() {
  absl::MutexLock lock(&script_->mutex_);
  EXPECT_FALSE(script_->in_receive_);
  EXPECT_FALSE(script_->transmitting_now_);
  script_->connection_ = nullptr;
  script_->destroyed_ = true;
}

void ScriptedConnection::Start(Events& events) {
  absl::MutexLock lock(&script_->mutex_);
  events_ = &events;
  script_->connection_ = this;
}

absl::Span<uint8_t> ScriptedConnection::NewFrame(uint64_t stream, size_t size) {
  absl::MutexLock lock(&script_->mutex_);
  const size_t waiting = script_->filling_.size() + script_->published_.size();
  if (waiting > 0 && waiting >= script_->room_) {
    script_->refused_ = true;
    return {};
  }
  script_->filling_.push_back({stream, std::string(size, '\xee')});
  return absl::MakeSpan(reinterpret_cast<uint8_t*>(script_->filling_.back().bytes.data()), size);
}

bool ScriptedConnection::Publish() {
  absl::MutexLock lock(&script_->mutex_);
  for (TestFrame& frame : script_->filling_) script_->published_.push_back(std::move(frame));
  script_->filling_.clear();
  return !script_->published_.empty() && !script_->blocked_;
}

absl::Status ScriptedConnection::TransmitUntil(Instant wait_until) {
  absl::Status status = Transmit();
  if (!status.ok()) return status;
  {
    const auto room = [script = script_.get()]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
      return !script->blocked_ || script->aborted_;
    };
    const auto room_or_told = [script = script_.get(), &room]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
      return room() || script->senders_look_up_;
    };
    absl::MutexLock lock(&script_->mutex_);
    if (!script_->senders_wait_ || room()) return status;
    script_->sender_waits_ = true;
    script_->mutex_.Await(absl::Condition(&room_or_told));
    script_->mutex_.AwaitWithTimeout(absl::Condition(&room),
                                     absl::FromChrono(wait_until - Clock::now()));
    script_->sender_waits_ = false;
  }
  return Transmit();
}

absl::Status ScriptedConnection::Transmit() {
  std::function<void()> hook;
  {
    absl::MutexLock lock(&script_->mutex_);
    EXPECT_FALSE(std::exchange(script_->transmitting_now_, true)) << "Transmit beside Transmit";
    ++script_->transmits_;
    hook = script_->transmit_hook_;
  }
  if (hook) hook();
  bool room = false;
  absl::Status status;
  {
    absl::MutexLock lock(&script_->mutex_);
    status = script_->transmit_status_;
    if (script_->aborted_) status.Update(absl::UnavailableError("aborted"));
    while (status.ok() && !script_->published_.empty()) {
      if (script_->allowed_ == 0) {
        script_->blocked_ = true;
        break;
      }
      if (script_->allowed_ != SIZE_MAX) --script_->allowed_;
      script_->sent_.push_back(std::move(script_->published_.front()));
      script_->published_.pop_front();
    }
    room = script_->published_.empty() && std::exchange(script_->refused_, false);
  }
  if (room) events_->OnWritable();
  absl::MutexLock lock(&script_->mutex_);
  script_->transmitting_now_ = false;
  return status;
}

absl::StatusOr<absl::Span<const ReceivedFrame>> ScriptedConnection::Receive(Instant wait_until) {
  ReleaseFrames();
  const auto readable = [script = script_.get()]()
                            ABSL_NO_THREAD_SAFETY_ANALYSIS { return script->Readable(); };
  absl::MutexLock lock(&script_->mutex_);
  EXPECT_FALSE(script_->in_receive_) << "Receive beside Receive";
  const Instant now = Clock::now();
  if (!script_->Readable() && wait_until > now) {
    EXPECT_FALSE(script_->watching_) << "a thread waits in Receive while watching is on";
    script_->in_receive_ = true;
    script_->receiver_ = std::this_thread::get_id();
    if (wait_until == Instant::max()) {
      script_->mutex_.Await(absl::Condition(&readable));
    } else {
      script_->mutex_.AwaitWithTimeout(absl::Condition(&readable),
                                       absl::FromChrono(wait_until - now));
    }
    script_->in_receive_ = false;
  } else if (!script_->Readable()) {
    ++script_->polls_;
  }
  if (script_->aborted_) return absl::UnavailableError("aborted");
  for (TestFrame& frame : script_->inbox_) held_.push_back(std::move(frame));
  script_->inbox_.clear();
  if (held_.empty() && !script_->end_.ok()) return script_->end_;
  for (const TestFrame& frame : held_) {
    views_.push_back(
        {frame.stream, absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(frame.bytes.data()),
                                           frame.bytes.size())});
  }
  return views_;
}

void ScriptedConnection::ReleaseFrames() {
  for (TestFrame& frame : held_) frame.bytes.assign(frame.bytes.size(), '\xdd');
  held_.clear();
  views_.clear();
}

void ScriptedConnection::WatchReadable(bool on) {
  absl::MutexLock lock(&script_->mutex_);
  script_->watching_ = on;
  script_->AskLoop();
}

void ScriptedConnection::Abort() {
  absl::MutexLock lock(&script_->mutex_);
  script_->aborted_ = true;
  script_->AskLoop();
}

void ScriptedConnection::OnAlarm(Instant) {
  {
    absl::MutexLock lock(&script_->mutex_);
    script_->asked_ = false;
    if (!script_->watching_ || !script_->Readable()) return;
  }
  events_->OnReadable();
  absl::MutexLock lock(&script_->mutex_);
  script_->AskLoop();
}

// ---- ScriptedPeer

ScriptedPeer::ScriptedPeer(std::shared_ptr<ConnectionScript> script, const protocol::Limits& limits)
    : script_(std::move(script)),
      machine_(protocol::MakeWireServer(*this, 4096, limits, Clock::now(), *this)) {}

ScriptedPeer::~ScriptedPeer() = default;

const void* ScriptedPeer::FindMethod(absl::string_view full_name) {
  for (const std::string& method : methods_) {
    if (method == full_name) return &method;
  }
  return &methods_.emplace_back(full_name);
}

void* ScriptedPeer::NewCall(protocol::CallId id, const void* method) {
  Call& call = calls_.emplace_back();
  call.id = id;
  call.method = *static_cast<const std::string*>(method);
  return &call;
}

absl::Span<uint8_t> ScriptedPeer::NewFrame(uint64_t stream, size_t size) {
  out_.push_back({stream, std::string(size, '\xee')});
  return absl::MakeSpan(reinterpret_cast<uint8_t*>(out_.back().bytes.data()), size);
}

void ScriptedPeer::Read(const std::vector<TestFrame>& frames) {
  std::vector<ReceivedFrame> views;
  for (const TestFrame& frame : frames) {
    views.push_back(
        {frame.stream, absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(frame.bytes.data()),
                                           frame.bytes.size())});
  }
  protocol::Protocol::Events events;
  const absl::Status status = machine_->OnFrames(views, Clock::now(), events);
  EXPECT_TRUE(status.ok() || absl::IsUnavailable(status)) << status;
  Note(events);
  Flush();
}

void ScriptedPeer::Note(protocol::Protocol::Events& events) {
  for (Event& event : events) {
    Call& call = *static_cast<Call*>(event.tag);
    if (event.bits & Event::kMessage) {
      call.messages.emplace_back(event.message.bytes.begin(), event.message.bytes.end());
      if ((event.bits & Event::kHalfClose) == 0) {
        machine_->Consumed(event.call, event.message.bytes.size());
      }
    }
    if (event.bits & Event::kHalfClose) call.half_closed = true;
    if (event.bits & Event::kWritable) call.queued = false;
    if (event.bits & Event::kFinished) call.cancelled = true;
  }
}

ScriptedPeer::Call& ScriptedPeer::WaitForCall(size_t index) {
  while (calls_.size() <= index || !calls_[index].half_closed) ReadMore();
  return calls_[index];
}

void ScriptedPeer::WaitForCancel(size_t index) {
  while (calls_.size() <= index || !calls_[index].cancelled) ReadMore();
}

void ScriptedPeer::ReadMore() { Read(script_->TakeSent()); }

void ScriptedPeer::ReadNow() { Read(script_->TakeSentNow()); }

namespace {

protocol::Payload PayloadOf(const std::string& bytes) {
  return {.size = bytes.size(),
          .object = bytes.data(),
          .write = [](const void* object, uint8_t* to, size_t size) {
            if (size != 0) std::memcpy(to, object, size);
          }};
}

}  // namespace

void ScriptedPeer::Reply(const Call& call, const std::string& message) {
  const protocol::Payload payload = PayloadOf(message);
  protocol::Protocol::Events events;
  machine_->Finish(call.id, absl::OkStatus(), nullptr, &payload);
  machine_->Release(call.id, events);
}

void ScriptedPeer::Finish(const Call& call, const absl::Status& status) {
  protocol::Protocol::Events events;
  machine_->Finish(call.id, status, nullptr, nullptr);
  machine_->Release(call.id, events);
}

void ScriptedPeer::Send(Call& call, const std::string& message) {
  const protocol::SendResult result = machine_->Send(call.id, PayloadOf(message));
  EXPECT_NE(result, protocol::SendResult::kOver);
  if (result != protocol::SendResult::kQueued) return;
  call.queued = true;
  Flush();
  while (call.queued) ReadMore();
}

void ScriptedPeer::Drain() { machine_->Drain(); }

std::vector<TestFrame> ScriptedPeer::TakeFrames() {
  protocol::Protocol::Events events;
  if (machine_->wants_pump()) machine_->Pump(Clock::now(), events);
  Note(events);
  std::vector<TestFrame> frames(std::make_move_iterator(out_.begin()),
                                std::make_move_iterator(out_.end()));
  out_.clear();
  return frames;
}

void ScriptedPeer::Flush() {
  std::vector<TestFrame> frames = TakeFrames();
  if (!frames.empty()) script_->Deliver(std::move(frames));
}

}  // namespace anywire::test
