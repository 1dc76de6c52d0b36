//! The sandbox outside of the process that asks it, with the real binary: as child processes, and as a service. Both face the
//! suites that a sandbox in the same process faces in `sandbox/tests`.

mod sandbox {
    mod children;
    mod service;
}
