//! Real sandboxes on this machine, as root and as an ordinary user: what works, and what is held.

#[cfg(test)]
mod attacks;
#[cfg(test)]
mod endpoints;
#[cfg(test)]
mod ends;
#[cfg(test)]
mod hello;
#[cfg(test)]
mod ordinary_user;
#[cfg(test)]
mod probe;
#[cfg(test)]
mod support;

dispatch_runtime::spawn_helper_in_tests!();
