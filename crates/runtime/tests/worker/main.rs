//! Real Python workers: the protocol, the pools, layers and builds, and functions that attack them.

#[cfg(test)]
mod builds;
#[cfg(test)]
mod javascript;
#[cfg(test)]
mod loading;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod one_worker;
#[cfg(test)]
mod ordinary_user;
#[cfg(test)]
mod pools;
#[cfg(test)]
mod pools_change;
#[cfg(test)]
mod pools_retire;
#[cfg(test)]
mod sandboxed;
#[cfg(test)]
mod support;
#[cfg(test)]
mod workshop;

dispatch_runtime::spawn_helper_in_tests!();

/// Makes this executable its own unpacker, as the product's is.
#[used]
#[unsafe(link_section = ".init_array")]
#[expect(unsafe_code, reason = "libtest owns main, so the unpacker has to begin before it")]
static UNPACKER: extern "C" fn() = {
    extern "C" fn begin() {
        dispatch_runtime::layer::unpack_main_if_asked();
    }
    begin
};
