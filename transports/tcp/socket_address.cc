#include "transports/tcp/socket_address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "transports/stream/errno_status.h"

namespace anywire {
namespace {

const sockaddr_in& V4(const SocketAddress& address) {
  return reinterpret_cast<const sockaddr_in&>(address.storage);
}
const sockaddr_in6& V6(const SocketAddress& address) {
  return reinterpret_cast<const sockaddr_in6&>(address.storage);
}

absl::Status BadAddress(absl::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat(why, "; allowed: host:port, 192.0.2.1:port or [2001:db8::1]:port"));
}

// Digits alone: no sign, no spaces, no service names.
bool ParsePort(absl::string_view text, uint16_t* port) {
  if (text.empty() || text.size() > 5) return false;
  uint32_t value = 0;
  for (char c : text) {
    if (!absl::ascii_isdigit(static_cast<unsigned char>(c))) return false;
    value = value * 10 + static_cast<uint32_t>(c - '0');
  }
  *port = static_cast<uint16_t>(value);
  return value <= 65535;
}

absl::StatusOr<SocketAddress> AddressBy(int (*function)(int, sockaddr*, socklen_t*), int fd) {
  SocketAddress address;
  address.size = sizeof(address.storage);
  if (function(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.size) != 0) {
    return ErrnoStatus(errno, "the address of a socket");
  }
  return address;
}

bool IsHostCharacter(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.';
}

}  // namespace

absl::StatusOr<HostPort> ParseHostPort(absl::string_view text) {
  const size_t colon = text.rfind(':');
  const size_t bracket = text.rfind(']');
  if (colon == absl::string_view::npos || (bracket != absl::string_view::npos && colon < bracket)) {
    return BadAddress("the port is missing");
  }
  HostPort result;
  if (!ParsePort(text.substr(colon + 1), &result.port)) {
    return BadAddress("the port is not a number from 0 to 65535");
  }
  absl::string_view host = text.substr(0, colon);
  if (host.empty()) {
    return BadAddress("the host is missing (0.0.0.0 or [::] for every address of this one)");
  }
  if (host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
    const std::string number(host.substr(0, host.find('%')));
    in6_addr unused;
    if (inet_pton(AF_INET6, number.c_str(), &unused) != 1) {
      return BadAddress("there is no IPv6 address between the brackets");
    }
  } else if (host.find(':') != absl::string_view::npos) {
    return BadAddress("an IPv6 address without brackets");
  } else if (host.size() > 253 || !std::all_of(host.begin(), host.end(), IsHostCharacter)) {
    return BadAddress("the host is not a name or an address");
  }
  result.host = std::string(host);
  return result;
}

bool SocketAddress::IsLoopback() const {
  const auto is_v4_loopback = [](uint32_t address) { return address >> 24 == 127; };
  if (family() == AF_INET) return is_v4_loopback(ntohl(V4(*this).sin_addr.s_addr));
  const in6_addr& address = V6(*this).sin6_addr;
  if (IN6_IS_ADDR_V4MAPPED(&address)) return address.s6_addr[12] == 127;
  return IN6_IS_ADDR_LOOPBACK(&address);
}

bool SocketAddress::IsAny() const {
  if (family() == AF_INET) return V4(*this).sin_addr.s_addr == htonl(INADDR_ANY);
  return IN6_IS_ADDR_UNSPECIFIED(&V6(*this).sin6_addr);
}

uint16_t SocketAddress::port() const {
  return ntohs(family() == AF_INET ? V4(*this).sin_port : V6(*this).sin6_port);
}

std::string SocketAddress::ToString() const {
  char text[INET6_ADDRSTRLEN] = "?";
  if (family() == AF_INET) {
    inet_ntop(AF_INET, &V4(*this).sin_addr, text, sizeof(text));
    return absl::StrCat(text, ":", port());
  }
  inet_ntop(AF_INET6, &V6(*this).sin6_addr, text, sizeof(text));
  std::string zone;
  char interface[IF_NAMESIZE];
  if (V6(*this).sin6_scope_id != 0 && if_indextoname(V6(*this).sin6_scope_id, interface)) {
    zone = absl::StrCat("%", interface);
  }
  return absl::StrCat("[", text, zone, "]:", port());
}

absl::StatusOr<SocketAddress> LocalAddress(int fd) { return AddressBy(getsockname, fd); }
absl::StatusOr<SocketAddress> RemoteAddress(int fd) { return AddressBy(getpeername, fd); }

bool operator==(const SocketAddress& a, const SocketAddress& b) {
  if (a.family() != b.family() || a.port() != b.port()) return false;
  if (a.family() == AF_INET) return V4(a).sin_addr.s_addr == V4(b).sin_addr.s_addr;
  return std::memcmp(&V6(a).sin6_addr, &V6(b).sin6_addr, sizeof(in6_addr)) == 0;
}

std::vector<SocketAddress> InterleaveFamilies(const std::vector<SocketAddress>& addresses) {
  std::vector<SocketAddress> first, second, result;
  for (const SocketAddress& address : addresses) {
    (address.family() == addresses.front().family() ? first : second).push_back(address);
  }
  for (size_t i = 0; i < first.size() || i < second.size(); ++i) {
    if (i < first.size()) result.push_back(first[i]);
    if (i < second.size()) result.push_back(second[i]);
  }
  return result;
}

absl::StatusOr<std::vector<SocketAddress>> LookUp(const HostPort& host_port, bool numeric_only) {
  addrinfo hints = {};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_protocol = IPPROTO_TCP;
  hints.ai_flags = AI_NUMERICSERV;
  if (numeric_only) hints.ai_flags |= AI_NUMERICHOST;
  addrinfo* found = nullptr;
  const int error =
      getaddrinfo(host_port.host.c_str(), absl::StrCat(host_port.port).c_str(), &hints, &found);
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, &freeaddrinfo);
  if (error == EAI_MEMORY) return absl::ResourceExhaustedError("out of memory");
  if (error != 0) {
    const char* why = error == EAI_SYSTEM ? strerrordesc_np(errno) : gai_strerror(error);
    return absl::UnavailableError(absl::StrCat("resolving \"", host_port.host, "\": ", why));
  }
  std::vector<SocketAddress> result;
  for (const addrinfo* info = found; info != nullptr; info = info->ai_next) {
    if (info->ai_family != AF_INET && info->ai_family != AF_INET6) continue;
    SocketAddress address;
    std::memcpy(&address.storage, info->ai_addr, info->ai_addrlen);
    address.size = info->ai_addrlen;
    result.push_back(address);
  }
  if (result.empty()) {
    return absl::UnavailableError(absl::StrCat("\"", host_port.host, "\" has no address"));
  }
  return result;
}

absl::StatusOr<std::vector<SocketAddress>> LookUpToListen(absl::string_view address) {
  const absl::StatusOr<HostPort> host_port = ParseHostPort(address);
  if (!host_port.ok()) return host_port.status();
  absl::StatusOr<std::vector<SocketAddress>> numeric = LookUp(*host_port, /*numeric_only=*/true);
  return numeric.ok() ? numeric : LookUp(*host_port, /*numeric_only=*/false);
}

}  // namespace anywire
