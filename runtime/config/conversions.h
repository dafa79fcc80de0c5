// From the messages of idl/config.proto to plain options.
#ifndef ANYWIRE_RUNTIME_CONFIG_CONVERSIONS_H_
#define ANYWIRE_RUNTIME_CONFIG_CONVERSIONS_H_

#include "idl/config.pb.h"
#include "runtime/config/options.h"

namespace anywire::config {

// All of these take messages that keep the rules (see Bind). What is absent stays as in the second
// argument.
RuntimeOptions ToRuntimeOptions(const Runtime& runtime);
ServiceOptions DefaultsOf(const RuntimeOptions& runtime, const Limits& limits);
protocol::Limits ToLimits(const Limits& limits, protocol::Limits otherwise);
ServiceOptions ToServiceOptions(const Service& service, ServiceOptions otherwise);

}  // namespace anywire::config

#endif  // ANYWIRE_RUNTIME_CONFIG_CONVERSIONS_H_
