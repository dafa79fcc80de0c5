// The guide: coroutine handlers of all four shapes.
#include "anywire/server.h"

#include <cmath>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "anywire/runtime.h"
#include "examples/routeguide/places.h"
#include "examples/routeguide/routeguide.anywire.h"

namespace routeguide {
namespace {

using anywire::ServerContext;
using anywire::ServerReader;
using anywire::ServerReaderWriter;
using anywire::ServerWriter;
using anywire::Task;

// The notes that people left, of all calls.
class NoteBoard {
 public:
  // Pins `note` up and returns what was at its position before.
  absl::StatusOr<std::vector<Note>> Exchange(const Note& note) {
    if (note.text().size() > kMaxTextSize) {
      return absl::InvalidArgumentError(
          absl::StrCat("a note has at most ", kMaxTextSize, " bytes"));
    }
    const absl::MutexLock lock(&mutex_);
    if (count_ == kMaxNotes) return absl::ResourceExhaustedError("the board is full");
    ++count_;
    std::vector<Note>& here = notes_[{note.position().latitude(), note.position().longitude()}];
    std::vector<Note> before = here;
    here.push_back(note);
    return before;
  }

 private:
  static constexpr size_t kMaxTextSize = 1024;
  static constexpr size_t kMaxNotes = 10'000;
  absl::Mutex mutex_;
  std::map<std::pair<int32_t, int32_t>, std::vector<Note>> notes_ ABSL_GUARDED_BY(mutex_);
  size_t count_ ABSL_GUARDED_BY(mutex_) = 0;
};

class GuideService final : public RouteGuide::Service {
 public:
  Task<absl::Status> GetPlace(ServerContext& /*context*/, const Position& request,
                              Place* reply) override {
    const KnownPlace* const place = FindPlace(request);
    if (place == nullptr) co_return absl::NotFoundError("no known place is there");
    *reply = ToMessage(*place);
    co_return absl::OkStatus();
  }

  Task<absl::Status> ListPlaces(ServerContext& /*context*/, const Area& request,
                                ServerWriter<Place>& writer) override {
    for (const KnownPlace& place : KnownPlaces()) {
      if (!Contains(request, PositionOf(place))) continue;
      const Place message = ToMessage(place);
      if (!co_await writer.Write(message)) co_return absl::CancelledError();
    }
    co_return absl::OkStatus();
  }

  Task<absl::Status> RecordTour(ServerContext& /*context*/, ServerReader<Position>& reader,
                                TourSummary* reply) override {
    Position position;
    Position last;
    double distance = 0;
    const KnownPlace* last_place = nullptr;
    while (co_await reader.Read(&position)) {
      if (reply->positions() > 0) distance += Distance(last, position);
      last = position;
      reply->set_positions(reply->positions() + 1);
      const KnownPlace* const place = FindPlace(position);
      if (place == nullptr) continue;
      reply->set_places(reply->places() + 1);
      if (last_place != nullptr && place->altitude > last_place->altitude) {
        reply->set_ascent(reply->ascent() + place->altitude - last_place->altitude);
      }
      last_place = place;
    }
    reply->set_distance(std::llround(distance));
    co_return absl::OkStatus();
  }

  Task<absl::Status> ShareNotes(ServerContext& /*context*/,
                                ServerReaderWriter<Note, Note>& stream) override {
    Note note;
    while (co_await stream.Read(&note)) {
      const absl::StatusOr<std::vector<Note>> before = board_.Exchange(note);
      if (!before.ok()) co_return before.status();
      for (const Note& earlier : *before) {
        if (!co_await stream.Write(earlier)) co_return absl::CancelledError();
      }
    }
    co_return absl::OkStatus();
  }

 private:
  NoteBoard board_;
};

}  // namespace
}  // namespace routeguide

int main(int argc, char** argv) {
  anywire::Init(argc, argv);
  routeguide::GuideService service;
  anywire::Server server("routeguide");
  server.AddService(&service);
  return server.Run();
}
