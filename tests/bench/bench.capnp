# What bench.proto says, for Cap'n Proto, whose messages are its own.
@0xd3f2a4c17be95a06;

$import "/capnp/c++.capnp".namespace("anywire::bench::capnp_schema");

interface Bench {
  echo @0 (payload :Data) -> (payload :Data);
  work @1 (payload :Data, delayUs :UInt32) -> (payload :Data);
  upload @2 () -> (sink :Sink);

  interface Sink {
    write @0 (payload :Data) -> stream;
    finish @1 () -> (messages :UInt64);
  }
}
