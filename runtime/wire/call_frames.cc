#include "runtime/wire/call_frames.h"

#include <algorithm>

#include "absl/strings/cord.h"
#include "anywire/delivery.h"

namespace anywire::wire {
namespace {

// The flags that OPEN and DATA share, in any combination that means something.
const char* CheckMessageFlags(uint8_t flags) {
  if ((flags & kPartial) && !(flags & kMessage)) return "a partial message without a message";
  if ((flags & kPartial) && (flags & kEnd)) return "an end inside a message";
  return nullptr;
}

// Cuts at `limit`, but not inside a UTF-8 character.
absl::string_view CutText(absl::string_view text, size_t limit) {
  if (text.size() <= limit) return text;
  size_t end = limit;
  while (end > limit - 3 && (static_cast<uint8_t>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end);
}

// Count, then url and payload of each.
std::string EncodeDetails(const absl::Status& status) {
  std::string entries;
  size_t count = 0;
  status.ForEachPayload([&entries, &count](absl::string_view url, const absl::Cord& payload) {
    if (url == kDeliveryPayload || count == kMaxStatusDetails) return;
    const std::string value(payload);
    const size_t size = StringSize(url) + StringSize(value);
    if (entries.size() + size > kMaxStatusDetailsSize) return;
    const size_t before = entries.size();
    entries.resize(before + size);
    WriteString(value, WriteString(url, reinterpret_cast<uint8_t*>(entries.data()) + before));
    ++count;
  });
  if (count > 0) entries.insert(entries.begin(), static_cast<char>(count));  // under 128: one byte
  return entries;
}

const char* ReadDetails(Reader& reader, absl::Status* status) {
  uint64_t count = 0;
  if (!reader.ReadVarint(&count)) return "FINISH: details cut short";
  if (count == 0 || count > kMaxStatusDetails) return "FINISH: bad number of details";
  size_t size = 0;
  for (; count > 0; --count) {
    absl::string_view url, payload;
    if (!reader.ReadString(&url) || !reader.ReadString(&payload))
      return "FINISH: details cut short";
    size += StringSize(url) + StringSize(payload);
    if (size > kMaxStatusDetailsSize) return "FINISH: details too large";
    if (url != kDeliveryPayload) status->SetPayload(url, absl::Cord(payload));
  }
  return nullptr;
}

}  // namespace

const char* ReadOpen(Bytes bytes, OpenFrame* frame) {
  Reader reader(bytes);
  uint8_t first = 0;
  if (!reader.ReadByte(&first)) return "an empty frame";
  const uint8_t flags = first & static_cast<uint8_t>(~kOpenMask);
  frame->flags = flags;
  if (const char* wrong = CheckMessageFlags(flags)) return wrong;
  if (!reader.ReadVarint(&frame->method)) return "OPEN: bad method id";
  if (flags & kLiteral) {
    if (!reader.ReadString(&frame->name)) return "OPEN: method name cut short";
    if (frame->name.empty() || frame->name.size() > kMaxMethodNameSize) {
      return "OPEN: bad method name size";
    }
  }
  if ((flags & kDeadline) && !reader.ReadVarint(&frame->deadline_us)) return "OPEN: bad deadline";
  if ((flags & kMetadata) && !reader.ReadString(&frame->metadata)) {
    return "OPEN: metadata cut short";
  }
  if ((flags & kPartial) && !reader.ReadVarint(&frame->message_size)) {
    return "OPEN: bad message size";
  }
  frame->message = reader.Rest();
  if (!(flags & kMessage)) {
    return frame->message.empty() ? nullptr : "OPEN: bytes after the end";
  }
  if (!(flags & kPartial)) frame->message_size = frame->message.size();
  return nullptr;
}

const char* ReadData(Bytes bytes, bool first_piece, DataFrame* frame) {
  Reader reader(bytes);
  uint8_t first = 0;
  if (!reader.ReadByte(&first)) return "an empty frame";
  const uint8_t flags = first & static_cast<uint8_t>(~kDataMask);
  frame->flags = flags;
  if (flags == 0) return "DATA: says nothing";
  if (const char* wrong = CheckMessageFlags(flags)) return wrong;
  if ((flags & kMetadata) && !reader.ReadString(&frame->metadata)) {
    return "DATA: metadata cut short";
  }
  if ((flags & kPartial) && first_piece && !reader.ReadVarint(&frame->message_size)) {
    return "DATA: bad message size";
  }
  frame->message = reader.Rest();
  if (!(flags & kMessage)) {
    return frame->message.empty() ? nullptr : "DATA: bytes after the end";
  }
  if (first_piece && !(flags & kPartial)) frame->message_size = frame->message.size();
  return nullptr;
}

std::string EncodeFinish(const absl::Status& status, bool not_processed,
                         absl::string_view initial_metadata, absl::string_view trailing_metadata,
                         bool with_message) {
  const absl::string_view text = CutText(status.message(), kMaxStatusTextSize);
  const std::string details = status.ok() ? std::string() : EncodeDetails(status);
  uint8_t first = kFinish;
  if (not_processed) first |= kNotProcessed;
  if (!details.empty()) first |= kDetails;
  if (!initial_metadata.empty()) first |= kMetadata;
  if (with_message) first |= kMessage;
  if (!trailing_metadata.empty()) first |= kTrailing;
  if (!text.empty()) first |= kText;
  std::string frame(2 + (text.empty() ? 0 : StringSize(text)) + details.size() +
                        initial_metadata.size() + trailing_metadata.size(),
                    '\0');
  uint8_t* at = reinterpret_cast<uint8_t*>(frame.data());
  *at++ = first;
  *at++ = static_cast<uint8_t>(status.code());
  if (!text.empty()) at = WriteString(text, at);
  at = WriteBytes(details, at);
  at = WriteBytes(initial_metadata, at);
  WriteBytes(trailing_metadata, at);
  return frame;
}

const char* ReadFinish(Bytes bytes, FinishFrame* frame) {
  Reader reader(bytes);
  uint8_t first = 0;
  uint8_t code = 0;
  if (!reader.ReadByte(&first)) return "an empty frame";
  const uint8_t flags = first & static_cast<uint8_t>(~kFinishMask);
  frame->flags = flags;
  if (!reader.ReadByte(&code) || code > 16) return "FINISH: bad status code";
  if (code == 0 && (flags & (kNotProcessed | kDetails | kText))) {
    return "FINISH: OK that says it failed";
  }
  if (code != 0 && (flags & kMessage)) return "FINISH: a message with a failure";
  absl::string_view text;
  if (flags & kText) {
    if (!reader.ReadString(&text)) return "FINISH: text cut short";
    if (text.empty() || text.size() > kMaxStatusTextSize) return "FINISH: bad text size";
  }
  frame->status = absl::Status(static_cast<absl::StatusCode>(code), text);
  if (flags & kDetails) {
    if (const char* wrong = ReadDetails(reader, &frame->status)) return wrong;
  }
  if ((flags & kMetadata) && !reader.ReadString(&frame->initial_metadata)) {
    return "FINISH: metadata cut short";
  }
  if ((flags & kTrailing) && !reader.ReadString(&frame->trailing_metadata)) {
    return "FINISH: metadata cut short";
  }
  frame->message = reader.Rest();
  if (!(flags & kMessage) && !frame->message.empty()) return "FINISH: bytes after the end";
  return nullptr;
}

const char* ReadReset(Bytes bytes, absl::StatusCode* code) {
  Reader reader(bytes.subspan(1));
  uint64_t number = 0;
  if (!reader.ReadVarint(&number) || !reader.done()) return "RESET: malformed";
  if (number == 0 || number > 16) return "RESET: bad status code";
  *code = static_cast<absl::StatusCode>(number);
  return nullptr;
}

const char* ReadCredit(Bytes bytes, uint64_t* amount) {
  Reader reader(bytes.subspan(1));
  if (!reader.ReadVarint(amount) || !reader.done()) return "CREDIT: malformed";
  if (*amount == 0) return "CREDIT: of nothing";
  return nullptr;
}

const char* ReadExcessCredit(Bytes bytes, uint64_t* amount) {
  Reader reader(bytes.subspan(1));
  if (!reader.ReadVarint(amount) || !reader.done()) return "EXCESS CREDIT: malformed";
  if (*amount == 0) return "EXCESS CREDIT: of nothing";
  return nullptr;
}

}  // namespace anywire::wire
