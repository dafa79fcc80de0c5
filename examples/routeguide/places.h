// What the guide knows: places, and how far it is from one to another.
#ifndef ANYWIRE_EXAMPLES_ROUTEGUIDE_PLACES_H_
#define ANYWIRE_EXAMPLES_ROUTEGUIDE_PLACES_H_

#include <cstdint>

#include "absl/types/span.h"
#include "examples/routeguide/routeguide.pb.h"

namespace routeguide {

struct KnownPlace {
  const char* name;
  int32_t latitude;  // degrees times a million
  int32_t longitude;
  int32_t altitude;  // metres
};

// From south to north.
absl::Span<const KnownPlace> KnownPlaces();

// The place at exactly this position, or null.
const KnownPlace* FindPlace(const Position& position);

Position PositionOf(const KnownPlace& place);
Place ToMessage(const KnownPlace& place);

// Whether `position` is in `area`, borders included.
bool Contains(const Area& area, const Position& position);

// Metres along the great circle.
double Distance(const Position& from, const Position& to);

}  // namespace routeguide

#endif  // ANYWIRE_EXAMPLES_ROUTEGUIDE_PLACES_H_
