#include "transports/udp/datagram_socket.h"

#include <errno.h>
#include <netinet/udp.h>
#include <poll.h>

#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/ipv6.h"
#include "transports/udp/datagram_faults.h"

namespace anywire::udp {
namespace {

using ::testing::ElementsAreArray;
using ::testing::IsEmpty;

SocketAddress Address(const std::string& host, uint16_t port = 0) {
  return LookUp({host, port}, /*numeric_only=*/true).value().at(0);
}

std::string Text(size_t size, int number) {
  return std::string(size, static_cast<char>('a' + number % 26));
}

class DatagramSocketTest : public ::testing::Test {
 protected:
  DatagramSocketTest() { Open("127.0.0.1", "127.0.0.1"); }

  void Open(const std::string& bound, const std::string& asked) {
    server_.emplace(DatagramSocket::Bind(Address(bound), DatagramSocket::Reuse::kNone).value());
    const uint16_t port = server_->local_address().value().port();
    client_.emplace(DatagramSocket::Connect(Address(asked, port)).value());
  }

  void Fill(const std::vector<size_t>& sizes) {
    batch_.Clear();
    for (size_t i = 0; i < sizes.size(); ++i) {
      const std::string text = Text(sizes[i], static_cast<int>(i));
      std::memcpy(batch_.room().data(), text.data(), text.size());
      batch_.Add(text.size());
    }
  }
  // What has come to `socket`; waits for the first.
  std::vector<std::string> Receive(DatagramSocket& socket, size_t count) {
    std::vector<std::string> result;
    while (result.size() < count) {
      pollfd readable = {socket.fd(), POLLIN, 0};
      if (poll(&readable, 1, 10'000) != 1) break;
      EXPECT_EQ(0, socket.Receive(received_));
      for (size_t i = 0; i < received_.count(); ++i) {
        from_ = received_.Path(i);
        ++messages_;
        received_.Each(i, [&result](absl::Span<const uint8_t> datagram) {
          result.emplace_back(datagram.begin(), datagram.end());
        });
      }
    }
    return result;
  }
  static std::vector<std::string> Texts(const std::vector<size_t>& sizes) {
    std::vector<std::string> result;
    for (size_t i = 0; i < sizes.size(); ++i) {
      result.push_back(Text(sizes[i], static_cast<int>(i)));
    }
    return result;
  }

  // Sends datagrams of these sizes, all of which the server gets.
  void ExpectArrive(const std::vector<size_t>& sizes) {
    Fill(sizes);
    size_t sent = 0;
    int icmp = 0;
    EXPECT_EQ(0, client_->Send(batch_, DatagramPath(), &sent, &icmp));
    EXPECT_EQ(sizes.size(), sent);
    EXPECT_EQ(0, icmp);
    EXPECT_THAT(Receive(*server_, sizes.size()), ElementsAreArray(Texts(sizes)));
  }

  std::optional<DatagramSocket> server_, client_;
  SendBatch batch_;
  ReceiveBatch received_;
  DatagramPath from_;
  int messages_ = 0;
};

// Runs that the system cuts, with a smaller one at the end of each or not; and others.
const std::vector<std::vector<size_t>>& Batches() {
  static const auto* const batches = new std::vector<std::vector<size_t>>{
      {1},
      {1200, 1200, 1200},
      {1200, 1200, 700},
      {700, 1200, 1200, 100, 100, 99, 1},
      {1200, 1201, 1202},
      std::vector<size_t>(SendBatch::kMaxDatagrams, 1000),
      {30'000, 30'000, 30'000},
      {kLargestDatagramSize, 1},
  };
  return *batches;
}

TEST_F(DatagramSocketTest, BatchesArrive) {
  for (const std::vector<size_t>& sizes : Batches()) {
    ExpectArrive(sizes);
  }
}

TEST_F(DatagramSocketTest, DatagramsOfOneSizeAreOneMessage) {
  test::DatagramFaults faults;
  Fill(std::vector<size_t>(10, 1000));
  size_t sent = 0;
  int icmp = 0;
  EXPECT_EQ(0, client_->Send(batch_, DatagramPath(), &sent, &icmp));
  EXPECT_EQ(1, faults.calls());
  EXPECT_EQ(1, faults.segmented());
  EXPECT_EQ(10u, Receive(*server_, 10).size());
  EXPECT_EQ(1, messages_) << "and is received as one";
}

TEST_F(DatagramSocketTest, SystemWithoutSegmentationIsNotAskedAgain) {
  for (const int error : {EIO, EOPNOTSUPP}) {
    Open("127.0.0.1", "127.0.0.1");
    test::DatagramFaults faults;
    faults.RefuseSegmentation(error);
    for (const std::vector<size_t>& sizes : Batches()) {
      ExpectArrive(sizes);
    }
    EXPECT_EQ(1, faults.segmented()) << error;
  }
}

// It says nothing of those of the next peer.
TEST_F(DatagramSocketTest, WhatOnePeerCannotBeSentJoinedGoesOneByOne) {
  for (const int error : {EINVAL, EMSGSIZE, EPERM, ENOMEM}) {
    Open("127.0.0.1", "127.0.0.1");
    test::DatagramFaults faults;
    const std::vector<size_t> sizes(10, 1000);
    for (const int refusal : {error, 0}) {
      faults.RefuseSegmentation(refusal);
      ExpectArrive(sizes);
    }
    EXPECT_EQ(2, faults.segmented()) << error;
  }
}

TEST_F(DatagramSocketTest, SystemThatJoinsNothing) {
  const int off = 0;
  ASSERT_EQ(0, setsockopt(server_->fd(), SOL_UDP, UDP_GRO, &off, sizeof(off)));
  for (const std::vector<size_t>& sizes : Batches()) {
    Fill(sizes);
    size_t sent = 0;
    int icmp = 0;
    EXPECT_EQ(0, client_->Send(batch_, DatagramPath(), &sent, &icmp));
    EXPECT_THAT(Receive(*server_, sizes.size()), ElementsAreArray(Texts(sizes)));
  }
}

TEST_F(DatagramSocketTest, FullSystemIsToldAndResumedWhereItStopped) {
  for (const int error : {EAGAIN, ENOBUFS}) {
    const std::vector<size_t> sizes = {100, 200, 300, 300, 50, 400};
    Fill(sizes);
    test::DatagramFaults faults;
    faults.FailSends(0, 1, error);
    size_t sent = 2;
    int icmp = 0;
    EXPECT_EQ(error, client_->Send(batch_, DatagramPath(), &sent, &icmp));
    EXPECT_EQ(2u, sent);
    EXPECT_EQ(0, client_->Send(batch_, DatagramPath(), &sent, &icmp));
    EXPECT_EQ(sizes.size(), sent);
    std::vector<std::string> expected = Texts(sizes);
    expected.erase(expected.begin(), expected.begin() + 2);
    EXPECT_THAT(Receive(*server_, 4), ElementsAreArray(expected));
  }
}

TEST_F(DatagramSocketTest, DatagramThatIsTooLargeTakesNoOtherWithIt) {
  Fill({100});
  test::DatagramFaults faults;
  faults.FailSends(0, 1, EMSGSIZE);
  size_t sent = 0;
  int icmp = 0;
  EXPECT_EQ(0, client_->Send(batch_, DatagramPath(), &sent, &icmp));
  EXPECT_EQ(1u, sent);
  Fill({200});
  sent = 0;
  EXPECT_EQ(0, client_->Send(batch_, DatagramPath(), &sent, &icmp));
  EXPECT_THAT(Receive(*server_, 1), ElementsAreArray({Text(200, 0)}));
}

// What an earlier datagram has brought on us does not cost this one.
TEST_F(DatagramSocketTest, IcmpIsToldAndLosesNothing) {
  Fill({100});
  test::DatagramFaults faults;
  faults.FailSends(0, 1, ECONNREFUSED);
  size_t sent = 0;
  int icmp = 0;
  EXPECT_EQ(0, client_->Send(batch_, DatagramPath(), &sent, &icmp));
  EXPECT_EQ(ECONNREFUSED, icmp);
  EXPECT_THAT(Receive(*server_, 1), ElementsAreArray({Text(100, 0)}));
  // One that comes again is this one's.
  faults.FailSends(0, 2, ECONNREFUSED);
  sent = 0;
  EXPECT_EQ(0, client_->Send(batch_, DatagramPath(), &sent, &icmp));
  EXPECT_EQ(1u, sent);
}

TEST_F(DatagramSocketTest, NobodyListening) {
  server_.reset();
  Fill({100});
  size_t sent = 0;
  int icmp = 0;
  EXPECT_EQ(0, client_->Send(batch_, DatagramPath(), &sent, &icmp));
  pollfd error = {client_->fd(), POLLIN, 0};
  ASSERT_EQ(1, poll(&error, 1, 10'000));
  EXPECT_EQ(ECONNREFUSED, client_->Receive(received_));
  EXPECT_EQ(0u, received_.count());
  EXPECT_EQ(0, client_->Receive(received_)) << "told once";
}

// A socket that is bound to all addresses answers from the one that was asked.
TEST_F(DatagramSocketTest, AnswersLeaveFromTheAddressThatWasAsked) {
  for (const auto& [bound, asked] : {std::pair<std::string, std::string>("0.0.0.0", "127.0.0.5"),
                                     {"::", "::1"},
                                     {"::", "127.0.0.6"}}) {
    if (bound == "::" && !anywire::test::HasIpv6()) continue;
    Open(bound, asked);
    Fill({100, 100});
    size_t sent = 0;
    int icmp = 0;
    EXPECT_EQ(0, client_->Send(batch_, DatagramPath(), &sent, &icmp));
    EXPECT_EQ(2u, Receive(*server_, 2).size());
    const SocketAddress peer = from_.peer_address();
    EXPECT_EQ(client_->local_address().value().port(), peer.port());
    ASSERT_TRUE(from_.has_local());
    const uint16_t port = server_->local_address().value().port();
    EXPECT_EQ(port, from_.local_address(port).port());
    const DatagramPath back = from_;
    sent = 0;
    EXPECT_EQ(0, server_->Send(batch_, back, &sent, &icmp));
    EXPECT_EQ(0, server_->SendOne(batch_.bytes().first(50), back));
    EXPECT_EQ(3u, Receive(*client_, 3).size()) << bound << " asked at " << asked;
  }
}

TEST_F(DatagramSocketTest, PeersAreToldApart) {
  DatagramPath a, b;
  const uint16_t port = server_->local_address().value().port();
  Fill({10});
  for (DatagramPath* path : {&a, &b}) {
    DatagramSocket other = DatagramSocket::Connect(Address("127.0.0.1", port)).value();
    size_t sent = 0;
    int icmp = 0;
    EXPECT_EQ(0, other.Send(batch_, DatagramPath(), &sent, &icmp));
    Receive(*server_, 1);
    *path = from_;
  }
  EXPECT_NE(a.peer_key(), b.peer_key());
  EXPECT_EQ(a.peer_key().host(), b.peer_key().host());
  EXPECT_EQ(a.peer_key(), a.peer_key());
}

TEST_F(DatagramSocketTest, AddressInUse) {
  const SocketAddress taken = server_->local_address().value();
  for (const auto reuse : {DatagramSocket::Reuse::kNone, DatagramSocket::Reuse::kPort}) {
    EXPECT_TRUE(absl::IsAlreadyExists(DatagramSocket::Bind(taken, reuse).status()));
  }
  ASSERT_TRUE(server_->AllowReuse().ok());
  EXPECT_TRUE(
      absl::IsAlreadyExists(DatagramSocket::Bind(taken, DatagramSocket::Reuse::kNone).status()));
  EXPECT_TRUE(DatagramSocket::Bind(taken, DatagramSocket::Reuse::kPort).ok());
}

}  // namespace
}  // namespace anywire::udp
