//! A JavaScript value that frees itself. What values mean is in `kind`, `input` and `output`.

use crate::engine::context;
use rquickjs_sys as qjs;
use std::ffi::CString;

/// How deep, and at how many parts, a value is looked at for anything in it.
const VOID_DEPTH: usize = 3;
const VOID_PARTS: usize = 64;

/// An owned value.
#[derive(Debug)]
pub(crate) struct Value(qjs::JSValue);

impl Drop for Value {
    fn drop(&mut self) {
        // SAFETY: the value is owned, and this is its only end.
        unsafe { qjs::JS_FreeValue(context(), self.0) }
    }
}

impl Clone for Value {
    fn clone(&self) -> Self {
        // SAFETY: the value is alive.
        Self(unsafe { qjs::JS_DupValue(context(), self.0) })
    }
}

/// What a value is, as far as columns tell values apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Sort {
    /// null, undefined, functions and symbols: what JSON has no value for.
    Nothing,
    Boolean(bool),
    Number(f64),
    BigInt,
    Text,
    Date,
    Array,
    Object,
}

impl Value {
    /// Takes ownership of what the engine handed out.
    pub(crate) const fn own(raw: qjs::JSValue) -> Self {
        Self(raw)
    }

    pub(crate) const fn raw(&self) -> qjs::JSValue {
        self.0
    }

    /// Hands ownership to the engine.
    pub(crate) fn into_raw(self) -> qjs::JSValue {
        let raw = self.0;
        std::mem::forget(self);
        raw
    }

    pub(crate) const fn null() -> Self {
        Self(qjs::JS_NULL)
    }

    pub(crate) const fn boolean(value: bool) -> Self {
        Self(if value { qjs::JS_TRUE } else { qjs::JS_FALSE })
    }

    pub(crate) fn number(value: f64) -> Self {
        Self(qjs::JS_NewFloat64(value))
    }

    pub(crate) fn integer(value: i64) -> Self {
        // SAFETY: no pointer is involved.
        Self(unsafe { qjs::JS_NewBigInt64(context(), value) })
    }

    pub(crate) fn text(bytes: &[u8]) -> Self {
        // SAFETY: the bytes are alive for the call, which copies them.
        Self(unsafe { qjs::JS_NewStringLen(context(), bytes.as_ptr().cast(), bytes.len() as _) })
    }

    pub(crate) fn date(milliseconds: f64) -> Self {
        // SAFETY: no pointer is involved.
        Self(unsafe { qjs::JS_NewDate(context(), milliseconds) })
    }

    pub(crate) fn array(items: Vec<Self>) -> Self {
        let raw: Vec<qjs::JSValue> = items.into_iter().map(Self::into_raw).collect();
        // SAFETY: the array takes the ownership of the values.
        Self(unsafe { qjs::JS_NewArrayFrom(context(), raw.len() as _, raw.as_ptr()) })
    }

    /// Parses JSON that the host wrote.
    pub(crate) fn json(text: &str) -> Self {
        let length = text.len();
        // The parser wants a zero behind the text, and JSON holds none.
        let text = CString::new(text).unwrap_or_default();
        // SAFETY: the text ends with a zero and outlives the call.
        Self(unsafe { qjs::JS_ParseJSON(context(), text.as_ptr(), length as _, c"json".as_ptr()) })
    }

    pub(crate) fn is_exception(&self) -> bool {
        // SAFETY: looks at the tag only.
        unsafe { qjs::JS_IsException(self.0) }
    }

    pub(crate) fn is_nullish(&self) -> bool {
        // SAFETY: looks at the tag only.
        unsafe { qjs::JS_IsNull(self.0) || qjs::JS_IsUndefined(self.0) }
    }

    pub(crate) fn is_array(&self) -> bool {
        // SAFETY: the value is alive.
        unsafe { qjs::JS_IsArray(self.0) }
    }

    /// Whether it is a promise, which an async function answers.
    pub(crate) fn is_promise(&self) -> bool {
        // SAFETY: the value is alive.
        unsafe { qjs::JS_IsPromise(self.0) }
    }

    /// Whether there is nothing in it but null, undefined and NaN, as far as a few levels show.
    pub(crate) fn is_void(&self) -> bool {
        self.is_void_within(VOID_DEPTH)
    }

    fn is_void_within(&self, depth: usize) -> bool {
        match self.sort() {
            Sort::Nothing => true,
            Sort::Number(number) => number.is_nan(),
            Sort::Array if depth > 0 => {
                let length = self.length();
                length > 0 && (0..length.min(VOID_PARTS)).all(|at| self.at(at).is_void_within(depth - 1))
            }
            Sort::Object if depth > 0 => {
                let Some(names) = self.names() else { return false };
                let names = names.texts();
                !names.is_empty() && names.iter().take(VOID_PARTS).all(|name| self.property(name).is_void_within(depth - 1))
            }
            _ => false,
        }
    }

    pub(crate) fn is_truthy(&self) -> bool {
        // SAFETY: the value is alive.
        unsafe { qjs::JS_ToBool(context(), self.0) > 0 }
    }

    pub(crate) fn sort(&self) -> Sort {
        // SAFETY: the value is alive; getters of the engine look at its tag first.
        unsafe {
            match qjs::JS_VALUE_GET_NORM_TAG(self.0) {
                qjs::JS_TAG_INT => Sort::Number(f64::from(qjs::JS_VALUE_GET_INT(self.0))),
                qjs::JS_TAG_FLOAT64 => Sort::Number(qjs::JS_VALUE_GET_FLOAT64(self.0)),
                qjs::JS_TAG_BOOL => Sort::Boolean(qjs::JS_VALUE_GET_BOOL(self.0)),
                qjs::JS_TAG_STRING | qjs::JS_TAG_STRING_ROPE => Sort::Text,
                qjs::JS_TAG_BIG_INT | qjs::JS_TAG_SHORT_BIG_INT => Sort::BigInt,
                qjs::JS_TAG_OBJECT if qjs::JS_IsArray(self.0) => Sort::Array,
                qjs::JS_TAG_OBJECT if qjs::JS_IsDate(self.0) => Sort::Date,
                qjs::JS_TAG_OBJECT if qjs::JS_IsFunction(context(), self.0) => Sort::Nothing,
                qjs::JS_TAG_OBJECT => Sort::Object,
                _ => Sort::Nothing,
            }
        }
    }

    /// Its number by JavaScript's rules; none where that throws.
    pub(crate) fn to_number(&self) -> Option<f64> {
        let mut number = f64::NAN;
        // SAFETY: the value and the place for the answer are alive.
        let code = unsafe { qjs::JS_ToFloat64(context(), &mut number, self.0) };
        (code == 0).then_some(number)
    }

    /// A BigInt within 64 bits.
    pub(crate) fn to_integer(&self) -> Option<i64> {
        let mut number = 0;
        // SAFETY: the value and the place for the answer are alive.
        let code = unsafe { qjs::JS_ToBigInt64(context(), &mut number, self.0) };
        if code != 0 {
            return None;
        }
        // The engine wraps; a number that was wrapped has other digits.
        let mut digits = Vec::new();
        self.read_text(&mut digits);
        (digits == number.to_string().as_bytes()).then_some(number)
    }

    /// Appends its text in UTF-8. A half of a surrogate pair becomes U+FFFD. False where making the text throws.
    pub(crate) fn read_text(&self, into: &mut Vec<u8>) -> bool {
        let mut length = 0;
        // SAFETY: the bytes are copied before they are given back.
        unsafe {
            let text = qjs::JS_ToCStringLen2(context(), &mut length, self.0, false);
            if text.is_null() {
                return false;
            }
            let start = into.len();
            into.extend_from_slice(std::slice::from_raw_parts(text.cast(), length as usize));
            qjs::JS_FreeCString(context(), text);
            mend(&mut into[start..]);
        }
        true
    }

    pub(crate) fn to_text(&self) -> Option<String> {
        let mut bytes = Vec::new();
        self.read_text(&mut bytes).then(|| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Its JSON, as `JSON.stringify` says it; a value that has none is `null`. None where that throws.
    pub(crate) fn to_json(&self, into: &mut Vec<u8>) -> bool {
        // SAFETY: the value is alive.
        let text = Self(unsafe { qjs::JS_JSONStringify(context(), self.0, qjs::JS_UNDEFINED, qjs::JS_UNDEFINED) });
        if text.is_exception() {
            return false;
        }
        if text.is_nullish() {
            into.extend_from_slice(b"null");
            return true;
        }
        text.read_text(into)
    }

    /// Number of elements of an array.
    pub(crate) fn length(&self) -> usize {
        let mut length = 0;
        // SAFETY: the value and the place for the answer are alive.
        let code = unsafe { qjs::JS_GetLength(context(), self.0, &mut length) };
        if code == 0 { usize::try_from(length).unwrap_or(0) } else { 0 }
    }

    pub(crate) fn at(&self, index: usize) -> Self {
        // SAFETY: the value is alive.
        Self(unsafe { qjs::JS_GetPropertyUint32(context(), self.0, index as u32) })
    }

    pub(crate) fn get(&self, name: &Name) -> Self {
        // SAFETY: the value and the name are alive.
        Self(unsafe { qjs::JS_GetProperty(context(), self.0, name.0) })
    }

    /// A property by its name in plain text.
    pub(crate) fn property(&self, name: &str) -> Self {
        self.get(&Name::new(name))
    }

    /// Names of its own enumerable properties, in order; none where that throws.
    pub(crate) fn names(&self) -> Option<Names> {
        let mut names = Names { table: std::ptr::null_mut(), length: 0 };
        let flags = (qjs::JS_GPN_STRING_MASK | qjs::JS_GPN_ENUM_ONLY) as _;
        // SAFETY: the places for the answer are alive; `Names` frees the table.
        let code = unsafe { qjs::JS_GetOwnPropertyNames(context(), &mut names.table, &mut names.length, self.0, flags) };
        (code == 0).then_some(names)
    }

    /// Calls it. The answer may be an exception.
    pub(crate) fn call(&self, arguments: &[&Self]) -> Self {
        let mut raw = [qjs::JS_UNDEFINED; 4];
        let count = arguments.len().min(raw.len());
        for (place, argument) in raw.iter_mut().zip(arguments) {
            *place = argument.0;
        }
        // SAFETY: the arguments are borrowed for the call.
        Self(unsafe { qjs::JS_Call(context(), self.0, qjs::JS_UNDEFINED, count as _, raw.as_mut_ptr()) })
    }
}

/// The engine writes a lone surrogate as three bytes, which are not UTF-8; U+FFFD has as many.
fn mend(bytes: &mut [u8]) {
    let mut at = 0;
    while let Some(found) = bytes.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == 0xed)) {
        at += found;
        if let Some(three) = bytes.get_mut(at..at + 3)
            && three[1] >= 0xa0
        {
            three.copy_from_slice("\u{fffd}".as_bytes());
        }
        at += 1;
    }
}

/// The interned name of a property.
#[derive(Debug)]
pub(crate) struct Name(qjs::JSAtom);

impl Name {
    pub(crate) fn new(text: &str) -> Self {
        // SAFETY: the text is alive for the call.
        Self(unsafe { qjs::JS_NewAtomLen(context(), text.as_ptr().cast(), text.len() as _) })
    }

    pub(crate) const fn raw(&self) -> qjs::JSAtom {
        self.0
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        // SAFETY: the name is owned.
        unsafe { qjs::JS_FreeAtom(context(), self.0) }
    }
}

/// Names of an object's properties.
#[derive(Debug)]
pub(crate) struct Names {
    table: *mut qjs::JSPropertyEnum,
    length: u32,
}

impl Names {
    pub(crate) const fn len(&self) -> usize {
        self.length as usize
    }

    pub(crate) fn raw(&self) -> impl Iterator<Item = qjs::JSAtom> + '_ {
        // SAFETY: the engine handed out so many entries.
        let entries = if self.table.is_null() { &[] } else { unsafe { std::slice::from_raw_parts(self.table, self.len()) } };
        entries.iter().map(|entry| entry.atom)
    }

    pub(crate) fn texts(&self) -> Vec<String> {
        // SAFETY: the names are alive as long as the table.
        self.raw().map(|atom| Value(unsafe { qjs::JS_AtomToString(context(), atom) }).to_text().unwrap_or_default()).collect()
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        if !self.table.is_null() {
            // SAFETY: the table came from the engine.
            unsafe { qjs::JS_FreePropertyEnum(context(), self.table, self.length) }
        }
    }
}
