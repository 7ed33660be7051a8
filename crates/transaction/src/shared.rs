//! A shared pointer whose drop does not recurse, however deep the value behind it is.

use crate::{Field, Record, Value, Variant};
use std::{collections::BTreeMap, fmt, mem, ops::Deref, sync::Arc};

/// An `Arc` to a part of a value. When the last pointer goes, what is behind it is taken apart with a list of
/// its own instead of the Rust stack.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shared<T: Parts>(Arc<T>);

/// What a [`Shared`] can point to: something that can give away the values in it.
pub trait Parts {
    /// Moves all child values to `out`; `self` has none left.
    fn take_parts(&mut self, out: &mut Vec<Value>);
}

impl<T: Parts> Shared<T> {
    /// Puts the part on the heap.
    pub fn new(part: T) -> Self {
        Self(Arc::new(part))
    }

    /// Whether both point to the same place, hence are equal.
    #[must_use]
    pub fn ptr_eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Gives the parts away if this is the only pointer to them.
    fn take_if_last(&mut self, out: &mut Vec<Value>) {
        if let Some(part) = Arc::get_mut(&mut self.0) {
            part.take_parts(out);
        }
    }
}

impl<T: Parts> Drop for Shared<T> {
    fn drop(&mut self) {
        let mut rest = Vec::new();
        self.take_if_last(&mut rest);
        while let Some(mut value) = rest.pop() {
            match &mut value {
                Value::Optional(Some(part)) => part.take_if_last(&mut rest),
                Value::List(part) => part.take_if_last(&mut rest),
                Value::TextMap(part) => part.take_if_last(&mut rest),
                Value::GenMap(part) => part.take_if_last(&mut rest),
                Value::Record(part) => part.take_if_last(&mut rest),
                Value::Variant(part) => part.take_if_last(&mut rest),
                _ => {}
            }
        }
    }
}

impl<T: Parts> Deref for Shared<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Parts> From<T> for Shared<T> {
    fn from(part: T) -> Self {
        Self::new(part)
    }
}

impl<T: Parts + fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Parts for Value {
    fn take_parts(&mut self, out: &mut Vec<Value>) {
        out.push(mem::replace(self, Value::Unit));
    }
}

impl Parts for Vec<Value> {
    fn take_parts(&mut self, out: &mut Vec<Value>) {
        out.append(self);
    }
}

impl Parts for Vec<(Value, Value)> {
    fn take_parts(&mut self, out: &mut Vec<Value>) {
        out.extend(mem::take(self).into_iter().flat_map(|(key, value)| [key, value]));
    }
}

impl Parts for BTreeMap<Arc<str>, Value> {
    fn take_parts(&mut self, out: &mut Vec<Value>) {
        out.extend(mem::take(self).into_values());
    }
}

impl Parts for Record {
    fn take_parts(&mut self, out: &mut Vec<Value>) {
        out.extend(mem::take(&mut self.fields).into_iter().map(|Field { value, .. }| value));
    }
}

impl Parts for Variant {
    fn take_parts(&mut self, out: &mut Vec<Value>) {
        out.push(mem::replace(&mut self.value, Value::Unit));
    }
}
