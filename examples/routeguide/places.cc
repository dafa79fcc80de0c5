#include "examples/routeguide/places.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace routeguide {
namespace {

constexpr KnownPlace kPlaces[] = {
    {"Aosta", 45'737000, 7'320000, 583},       {"Great St Bernard", 45'869000, 7'170000, 2469},
    {"Chamonix", 45'923700, 6'869400, 1035},   {"Zermatt", 46'020700, 7'749100, 1608},
    {"Saas-Fee", 46'108900, 7'929200, 1800},   {"Sion", 46'233100, 7'360600, 500},
    {"Simplon", 46'251700, 8'033300, 2005},    {"Brig", 46'317000, 7'988000, 691},
    {"Gimmelwald", 46'546700, 7'891700, 1367}, {"Grimsel", 46'561700, 8'338300, 2164},
    {"Wengen", 46'605600, 7'921700, 1274},     {"Grindelwald", 46'624200, 8'041400, 1034},
    {"Interlaken", 46'685800, 7'863200, 568},  {"Bern", 46'948000, 7'447400, 540},
    {"Lucerne", 47'050200, 8'309300, 435},
};

double Radians(int32_t microdegrees) { return microdegrees / 1e6 * std::numbers::pi / 180; }

}  // namespace

absl::Span<const KnownPlace> KnownPlaces() { return kPlaces; }

const KnownPlace* FindPlace(const Position& position) {
  const auto found =
      std::find_if(std::begin(kPlaces), std::end(kPlaces), [&position](const KnownPlace& place) {
        return place.latitude == position.latitude() && place.longitude == position.longitude();
      });
  return found == std::end(kPlaces) ? nullptr : found;
}

Position PositionOf(const KnownPlace& place) {
  Position position;
  position.set_latitude(place.latitude);
  position.set_longitude(place.longitude);
  return position;
}

Place ToMessage(const KnownPlace& place) {
  Place message;
  message.set_name(place.name);
  *message.mutable_position() = PositionOf(place);
  message.set_altitude(place.altitude);
  return message;
}

bool Contains(const Area& area, const Position& position) {
  return position.latitude() >= area.south_west().latitude() &&
         position.latitude() <= area.north_east().latitude() &&
         position.longitude() >= area.south_west().longitude() &&
         position.longitude() <= area.north_east().longitude();
}

double Distance(const Position& from, const Position& to) {
  constexpr double kEarthRadius = 6'371'000;
  const double from_latitude = Radians(from.latitude());
  const double to_latitude = Radians(to.latitude());
  // The haversine formula.
  const double north = std::sin((to_latitude - from_latitude) / 2);
  const double east = std::sin((Radians(to.longitude()) - Radians(from.longitude())) / 2);
  const double a = north * north + std::cos(from_latitude) * std::cos(to_latitude) * east * east;
  return 2 * kEarthRadius * std::asin(std::sqrt(std::min(1.0, a)));
}

}  // namespace routeguide
