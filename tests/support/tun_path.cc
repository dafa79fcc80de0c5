#include "tests/support/tun_path.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "anywire/signals_blocked.h"
#include "transports/stream/unique_fd.h"

namespace anywire::test {
namespace {

constexpr char kDeviceName[] = "badpath";
constexpr char kNetmask[] = "255.255.255.252";
constexpr int kPacketsThatWaitForUs = 4096;
constexpr int kPacketsAtOnce = 64;

absl::Status Failed(absl::string_view what) {
  return absl::FailedPreconditionError(absl::StrCat(what, ": ", strerrordesc_np(errno)));
}

ifreq Request() {
  ifreq request = {};
  std::strcpy(request.ifr_name, kDeviceName);
  return request;
}

ifreq AddressRequest(const char* address) {
  ifreq request = Request();
  auto& in = reinterpret_cast<sockaddr_in&>(request.ifr_addr);
  in.sin_family = AF_INET;
  inet_pton(AF_INET, address, &in.sin_addr);
  return request;
}

// The device with its address, up.
absl::StatusOr<UniqueFd> MakeDevice() {
  UniqueFd device(open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!device.valid()) return Failed("there is no /dev/net/tun");
  ifreq request = Request();
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  if (ioctl(device.get(), TUNSETIFF, &request) != 0) return Failed("cannot make a TUN device");

  const UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq address = AddressRequest(TunPath::kServerHost), netmask = AddressRequest(kNetmask);
  ifreq mtu = Request(), queue = Request(), up = Request();
  mtu.ifr_mtu = TunPath::kMtu;
  queue.ifr_qlen = kPacketsThatWaitForUs;
  up.ifr_flags = IFF_UP;
  // Allowed to the machine's root alone; without it 500 packets wait.
  ioctl(fd.get(), SIOCSIFTXQLEN, &queue);
  if (ioctl(fd.get(), SIOCSIFADDR, &address) != 0 ||
      ioctl(fd.get(), SIOCSIFNETMASK, &netmask) != 0 || ioctl(fd.get(), SIOCSIFMTU, &mtu) != 0 ||
      ioctl(fd.get(), SIOCSIFFLAGS, &up) != 0) {
    return Failed("cannot set the TUN device up");
  }
  return device;
}

class Mirror final : public TunPath {
 public:
  Mirror(UniqueFd device, UniqueFd ending, const LivePathOptions& options)
      : device_(std::move(device)), ending_(std::move(ending)), path_(options) {
    const SignalsBlocked signals_blocked;
    thread_ = std::thread([this] { Run(); });
  }

  ~Mirror() override {
    eventfd_write(ending_.get(), 1);
    thread_.join();
  }

  PathControl& path() override { return path_; }

 private:
  struct NoRoute {};  // a packet has its addresses in it
  using Path = LivePath<NoRoute>;
  using Instant = Path::Instant;

  static Instant Now() { return std::chrono::steady_clock::now(); }

  void Run() {
    prctl(PR_SET_NAME, "tun-path");
    prctl(PR_SET_TIMERSLACK, 1);  // ns: by default sleeps end 50 us late
    pollfd watched[] = {{device_.get(), POLLIN, 0}, {ending_.get(), POLLIN, 0}};
    while (true) {
      const std::optional<timespec> timeout = path_.UntilNextArrival();
      ppoll(watched, 2, timeout ? &*timeout : nullptr, nullptr);
      if (watched[1].revents != 0) return;
      if (watched[0].revents != 0) ReadPackets();
      WriteDue();
    }
  }

  void ReadPackets() {
    uint8_t room[kMtu];
    for (int i = 0; i < kPacketsAtOnce; ++i) {
      const ssize_t size = read(device_.get(), room, sizeof(room));
      if (size < 0) return;
      const absl::Span<uint8_t> packet(room, static_cast<size_t>(size));
      // (The system also says things of IPv6, to which nobody answers here.)
      const std::optional<Towards> towards = MirrorPacket(packet);
      if (towards) path_.Send({*towards, {}, {packet.begin(), packet.end()}}, Now());
    }
  }

  void WriteDue() {
    const Instant now = Now();
    while (const std::optional<Path::Packet> packet = path_.Take(now)) {
      // What is too damaged to be a packet is refused, as it would be at any other interface.
      if (write(device_.get(), packet->bytes.data(), packet->bytes.size()) < 0) continue;
    }
  }

  const UniqueFd device_;
  const UniqueFd ending_;
  Path path_;
  std::thread thread_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<TunPath>> TunPath::Start(const LivePathOptions& options) {
  absl::StatusOr<UniqueFd> device = MakeDevice();
  if (!device.ok()) return device.status();
  UniqueFd ending(eventfd(0, EFD_CLOEXEC));
  if (!ending.valid()) return Failed("cannot make an eventfd");
  return std::make_unique<Mirror>(*std::move(device), std::move(ending), options);
}

}  // namespace anywire::test
