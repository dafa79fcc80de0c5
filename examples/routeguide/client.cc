// A visitor: blocking calls of all four shapes, one after another.
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_format.h"
#include "anywire/runtime.h"
#include "examples/routeguide/places.h"
#include "examples/routeguide/routeguide.anywire.h"

namespace routeguide {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(10);

Position At(int32_t latitude, int32_t longitude) {
  Position position;
  position.set_latitude(latitude);
  position.set_longitude(longitude);
  return position;
}

std::string Text(const Position& position) {
  return absl::StrFormat("%.4f N %.4f E", position.latitude() / 1e6, position.longitude() / 1e6);
}

// Unary.
absl::Status GetPlaces(const RouteGuide::Stub& stub) {
  for (const Position& position : {At(46'624200, 8'041400), At(0, 0)}) {
    const absl::StatusOr<Place> place = stub.GetPlace(position, {.timeout = kTimeout});
    if (absl::IsNotFound(place.status())) {
      std::cout << "at " << Text(position) << ": " << place.status().message() << "\n";
      continue;
    }
    if (!place.ok()) return place.status();
    std::cout << "at " << Text(position) << ": " << place->name() << ", " << place->altitude()
              << " m\n";
  }
  return absl::OkStatus();
}

// Server streaming.
absl::Status ListPlaces(const RouteGuide::Stub& stub) {
  Area area;
  *area.mutable_south_west() = At(46'500000, 7'800000);
  *area.mutable_north_east() = At(46'700000, 8'100000);
  anywire::ClientReader<Place> reader = stub.ListPlaces(area, {.timeout = kTimeout});
  Place place;
  std::cout << "around the Jungfrau:\n";
  while (reader.Read(&place)) {
    std::cout << "  " << place.name() << " at " << Text(place.position()) << "\n";
  }
  return reader.Finish();
}

// Client streaming.
absl::Status RecordTour(const RouteGuide::Stub& stub) {
  anywire::ClientWriter<Position, TourSummary> writer = stub.RecordTour({.timeout = kTimeout});
  for (const KnownPlace& place : KnownPlaces()) {
    if (!writer.Write(PositionOf(place))) break;  // the call is over; Finish says why
  }
  const absl::StatusOr<TourSummary> summary = writer.Finish();
  if (!summary.ok()) return summary.status();
  std::cout << "a tour of " << summary->places() << " places: " << summary->distance() / 1000
            << " km, " << summary->ascent() << " m up\n";
  return absl::OkStatus();
}

// Both ways: one thread writes while another reads.
absl::Status ShareNotes(const RouteGuide::Stub& stub) {
  anywire::ClientReaderWriter<Note, Note> stream = stub.ShareNotes({.timeout = kTimeout});
  std::thread writer([&stream] {
    const Position bench = At(46'605600, 7'921700);
    for (const char* text : {"Good view from here.", "The cafe is closed.", "It is open again."}) {
      Note note;
      *note.mutable_position() = bench;
      note.set_text(text);
      if (!stream.Write(note)) break;
    }
    stream.WritesDone();
  });
  Note note;
  while (stream.Read(&note)) {
    std::cout << "left at " << Text(note.position()) << ": " << note.text() << "\n";
  }
  writer.join();
  return stream.Finish();
}

int Visit() {
  const RouteGuide::Stub stub(anywire::Channel("routeguide"));
  for (const auto step : {GetPlaces, ListPlaces, RecordTour, ShareNotes}) {
    if (const absl::Status status = step(stub); !status.ok()) {
      std::cerr << status << "\n";
      return 1;
    }
  }
  return 0;
}

}  // namespace
}  // namespace routeguide

int main(int argc, char** argv) {
  anywire::Init(argc, argv);
  return routeguide::Visit();
}
