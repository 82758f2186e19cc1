//! What happens at the fake broker between two exchanges.

use dispatch_osb::fake::{CallKind, FakeBroker, Fault, RawAnswer};

/// `well`: nothing goes wrong any more. `fault CALL STATUS WORDS`: the next call of this kind is refused. `after …`: it
/// is carried out, and answered like that all the same. `always …`: all of them are refused. `raw CALL STATUS BODY`: the
/// next is answered with just that. False if it is nothing of these.
pub(super) fn prepare(broker: &FakeBroker, what: &str) -> bool {
    if what == "well" {
        broker.clear_faults();
        return true;
    }
    let mut parts = what.splitn(4, ' ');
    let mut next = || parts.next().unwrap_or_default();
    let (how, call, status, text) = (next(), next(), next(), next());
    let (Some(call), Ok(status)) = (kind(call), status.parse()) else { return false };
    let refusal = RawAnswer::error(status, "", text);
    match how {
        "fault" => broker.fault(call, Fault::Instead(refusal)),
        "after" => broker.fault(call, Fault::After(refusal)),
        "always" => broker.always(call, Some(Fault::Instead(refusal))),
        "raw" => broker.fault(call, Fault::Instead(RawAnswer::new(status, text))),
        _ => return false,
    }
    true
}

fn kind(text: &str) -> Option<CallKind> {
    use CallKind::{Bind, Catalog, Deprovision, Provision, Unbind};
    let all = [Catalog, Provision, Deprovision, Bind, Unbind];
    all.into_iter().find(|kind| format!("{kind:?}") == text)
}
