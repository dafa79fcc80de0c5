// A server: services on addresses.
#ifndef ANYWIRE_RUNTIME_SERVER_SERVER_H_
#define ANYWIRE_RUNTIME_SERVER_SERVER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace anywire {

class Runtime;
class ServerInterceptor;
class Service;

// Build it, add services and addresses, Start (or Run). Functions may be called by any thread, but
// none of those that build after Start. Destroying a server shuts it down with no time to drain.
class Server {
 public:
  // Listens where the configuration says for the service `name`, once started. `name` may also be a
  // URI.
  explicit Server(absl::string_view name);
  // Listens nowhere yet.
  Server();
  explicit Server(Runtime& runtime);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // `target` is a name in the configuration (all its listen lines) or a URI. Mistakes come out of
  // Start.
  void Listen(absl::string_view target);
  // `service` outlives the server. Two services of one name are a mistake that comes out of Start.
  void AddService(Service* service);
  // For all calls; in order (see interceptor.h).
  void AddInterceptor(std::shared_ptr<ServerInterceptor> interceptor);

  // Opens every address; the first failure is returned (it names the address) and nothing is left
  // open. FAILED_PRECONDITION when the server has been started or shut down before, or meanwhile.
  absl::Status Start();
  // The addresses in full ("tcp://127.0.0.1:38113"), after Start.
  std::vector<std::string> addresses() const;

  // No new connections, then no new calls: those end as UNAVAILABLE, not processed, also on a
  // connection that was made but not accepted yet. Calls that run may finish within `drain` (of the
  // steady clock), after which they are cancelled. Then clients have a second to leave, and after a
  // short drain a tenth of one. Returns at once, on any thread; another does the work, and a call
  // that is made a moment later may still be served. Wait waits. A second call can only shorten the
  // time.
  void Shutdown(absl::Duration drain);
  // With the configured drain time (30 s).
  void Shutdown();
  // Returns when the server has been shut down and no handler runs any more.
  void Wait();

  // Start (unless that was done), then serve until SIGTERM, SIGINT or Shutdown, then drain; a
  // second signal ends the drain at once. Returns the program's exit code: 0 after a drain in which
  // every call finished (and when Shutdown came before the start), 1 when calls had to be
  // cancelled, 2 when the server could not start; the reason is printed on stderr in one line.
  //
  // It is the last thing of its program. When handlers still run two seconds after their calls have
  // been cancelled, it says so on stderr and ends the process itself: _exit(1), without a return
  // and without destructors. A program that wants to go on has Start, Shutdown and Wait.
  int Run();

 private:
  class Core;
  std::shared_ptr<Core> core_;
};

}  // namespace anywire

#endif  // ANYWIRE_RUNTIME_SERVER_SERVER_H_
