// Which mutant this process is.
#ifndef ANYWIRE_TESTS_SIM_UDP_MUTANTS_MUTANT_H_
#define ANYWIRE_TESTS_SIM_UDP_MUTANTS_MUTANT_H_

namespace anywire::udp {

// ANYWIRE_MUTANT of the environment; 0, which is none, without it.
extern const int mutant;

inline bool Mutant(int number) { return mutant == number; }

}  // namespace anywire::udp

#endif  // ANYWIRE_TESTS_SIM_UDP_MUTANTS_MUTANT_H_
