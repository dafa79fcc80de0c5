// The search for the largest datagram that the path carries (DPLPMTUD, RFC 8899).
//
// The upper bound is tried first, since it is right on most paths; then the size is found by
// halving. A path that stops carrying what it carried is a black hole (section 4.3): back to the
// base, and later again.
#ifndef ANYWIRE_TRANSPORTS_UDP_RELIABILITY_PATH_MTU_H_
#define ANYWIRE_TRANSPORTS_UDP_RELIABILITY_PATH_MTU_H_

#include <cstddef>

#include "transports/udp/reliability/options.h"
#include "transports/udp/reliability/time.h"

namespace anywire::udp {

class PathMtu {
 public:
  static constexpr int kMaxProbes = 3;  // RFC 8899, section 5.1.2
  // Searching on for less than this is not worth the probes.
  static constexpr size_t kSearchStep = 20;
  static constexpr Duration kRaiseInterval = std::chrono::seconds(600);  // PMTU_RAISE_TIMER
  static constexpr Duration kBlackHolePause = std::chrono::seconds(60);
  // So many losses of datagrams above the base are a black hole, if each was sent after the loss
  // before it was found, and none as large has arrived meanwhile. Smaller ones may, all the time.
  static constexpr int kBlackHoleLosses = 3;

  // `upper`: the most that both ends take, at least kBaseDatagramSize.
  explicit PathMtu(size_t upper) : upper_(upper), too_large_(upper + 1) {}

  // What datagrams may be: kBaseDatagramSize to upper.
  size_t current() const { return current_; }

  // The size of a probe that is due now; 0 when none is. One is on its way at a time.
  size_t ProbeDue(Instant now) const;

  void OnProbeSent() { probing_ = true; }
  void OnProbeAcked(Instant now, size_t size);
  void OnProbeLost(Instant now, size_t size);

  // What becomes of datagrams that are no probes. OnDatagramLost, for one sent at `sent`, returns
  // whether current() has become the base.
  void OnDatagramAcked(size_t size);
  bool OnDatagramLost(Instant now, Instant sent, size_t size);
  // Whether the last datagrams above the base that were heard of have been lost: what must arrive
  // is sent no larger than the base.
  bool in_doubt() const { return losses_ > 0; }

 private:
  size_t NextSize() const;
  void FinishIfFound(Instant now);
  void EndDoubt();

  size_t upper_;
  size_t current_ = kBaseDatagramSize;
  size_t too_large_;  // the least that is known not to pass, or one above upper_
  Instant next_ = Instant::min();
  bool probing_ = false;  // one is on its way
  int lost_probes_ = 0;   // of the size at hand, in a row

  int losses_ = 0;  // of datagrams above the base, in a row
  size_t least_lost_ = kLargestDatagramSize + 1;
  Instant loss_found_ = Instant::min();  // the last of them
};

}  // namespace anywire::udp

#endif  // ANYWIRE_TRANSPORTS_UDP_RELIABILITY_PATH_MTU_H_
