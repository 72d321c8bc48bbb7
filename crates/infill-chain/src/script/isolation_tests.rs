//! Limits, and that nothing of one row is left for the next.

use super::tests::{run_with, scripts};
use crate::failure::Code;

/// Runs `code` on two rows, and checks that the second sees what the first saw.
#[track_caller]
fn check_forgets(code: &str) {
    let mut scripts = scripts(&[code]);
    let first = run_with(&mut scripts, 0, "first");
    let second = run_with(&mut scripts, 0, "second");
    let third = run_with(&mut scripts, 0, "second");
    assert_eq!(second, third, "{code}");
    let of_first =
        |result: &Result<String, crate::failure::Failure>| format!("{result:?}").replace("first", "second");
    assert_eq!(of_first(&first), of_first(&second), "{code}");
}

#[test]
fn rows_cannot_leave_anything_behind() {
    // Each tries to leave the row's value somewhere, and answers with what it found there before.
    for place in [
        "globalThis.leak",
        "Object.leak",
        "Object.prototype.leak",
        "Array.prototype[9]",
        "String.prototype.leak",
        "Function.prototype.leak",
        "Math.leak",
        "JSON.leak",
        "Reflect.leak",
        "Symbol.iterator.constructor.leak",
        "Object.getPrototypeOf([].values()).leak",
        "Object.getPrototypeOf([][Symbol.iterator]()).next.leak",
        "Object.getPrototypeOf(Object.getPrototypeOf([].values())).leak",
        "Object.getPrototypeOf(new Map().entries()).leak",
        "Object.getPrototypeOf(new Set().entries()).leak",
        "Object.getPrototypeOf(''[Symbol.iterator]()).leak",
        "Object.getPrototypeOf('a'.matchAll(/a/g)).leak",
        "Object.getPrototypeOf([].values().map((x) => x)).leak",
        "Object.getPrototypeOf(Iterator.from({ next() {} })).leak",
        "Object.getPrototypeOf(function* () {}).leak",
        "Object.getPrototypeOf(function* () {}).prototype.leak",
        "Object.getPrototypeOf(function* () {}).constructor.leak",
        "Object.getPrototypeOf(async function () {}).leak",
        "Object.getPrototypeOf(async function* () {}).prototype.leak",
        "Object.getPrototypeOf(Object.getPrototypeOf(async function* () {}).prototype).leak",
        "Object.getPrototypeOf(Int8Array).leak",
        "Object.getPrototypeOf(Int8Array.prototype).leak",
        "Object.getOwnPropertyDescriptor(Map.prototype, 'size').get.leak",
        "Object.getOwnPropertyDescriptor(RegExp.prototype, 'flags').get.leak",
        "(function () { return Object.getOwnPropertyDescriptor(arguments, 'callee').get })().leak",
        "(() => {}).constructor.leak",
        "Error.prototype.leak",
        "Error.stackTraceLimit",
        "Error.prepareStackTrace",
        "Promise.prototype.leak",
        "Proxy.leak",
        "Date.prototype.leak",
        "RegExp.prototype.leak",
        "RegExp.lastIndex",
        "((strings) => strings)`a`.leak",
        "((strings) => strings.raw)`a`.leak",
    ] {
        check_forgets(&format!(
            "let found; try {{ found = String({place}); }} catch (error) {{ found = error.name; }}\n\
             try {{ {place} = {{{{input.x}}}}; }} catch (error) {{ found += error.name; }}\n\
             try {{ Object.defineProperty(globalThis, \"leak\", {{ value: {{{{input.x}}}} }}); }} catch {{}}\n\
             return found;"
        ));
    }
}

#[test]
fn built_in_functions_cannot_be_replaced() {
    for code in [
        "try { Array.prototype.map = () => ['{{input.x}}'] } catch {}\nreturn [1].map((n) => n + 1)",
        "try { String.prototype.trim = function () { return '{{input.x}}' } } catch {}\nreturn ' a '.trim()",
        "try { Object.defineProperty(Array.prototype, 0, { get: () => '{{input.x}}', set() {} }) } catch {}\nreturn [, 1][0]",
        "try { Object.setPrototypeOf(Array.prototype, { leak: '{{input.x}}' }) } catch {}\nreturn [].leak",
        "try { JSON.stringify = () => '{{input.x}}' } catch {}\nreturn { a: 1 }",
        "try { undefined = '{{input.x}}' } catch {}\nreturn String(undefined)",
        "try { Math.random = () => '{{input.x}}' } catch {}\nreturn Math.random() < 1",
        "try { delete String.prototype.trim } catch {}\nreturn typeof ''.trim",
        "try { Date.now = () => 1 } catch {}\nreturn Date.now() > 1",
        "try { Object.prototype.toString = () => '{{input.x}}' } catch {}\nreturn `${{}}`",
        "try { Reflect.set(Error, 'stackTraceLimit', 0) } catch {}\nreturn new Error('a').stack.length > 0",
    ] {
        check_forgets(code);
    }
}

#[test]
fn state_within_a_script_is_made_anew_for_each_row() {
    for code in [
        "const list = []; list.push({{input.x}}); return list.length",
        "function count() { count.n = (count.n ?? 0) + 1; return count.n } return count()",
        "const pattern = /s/g; pattern.test('{{input.x}}'); return pattern.lastIndex > 0",
        "class A { static n = 0 } return ++A.n",
        "const map = new WeakMap(); const key = ((strings) => strings)`a`; const had = map.has(key); map.set(key, 1); return had",
        "const a = Symbol.for('leak'); return Symbol.keyFor(a) + (a.description ?? '')",
        "({{input.list}}).push(1); return {{input.list}}.length",
        "function* numbers() { yield {{input.x}} } return [...numbers()]",
        "'{{input.x}}'.match(/(.*)/); return String(RegExp.$1) + RegExp.lastMatch",
    ] {
        check_forgets(code);
    }
}

#[test]
fn code_cannot_be_made_from_text() {
    let codes = [
        "try { return eval('1') } catch (error) { return error.name }",
        "try { return globalThis.eval('1') } catch (error) { return error.name }",
        "try { return new Function('return 1')() } catch (error) { return error.name }",
        "try { return Function('return 1')() } catch (error) { return error.name }",
        "try { return (() => {}).constructor('return 1')() } catch (error) { return error.name }",
        "try { return (function* () {}).constructor('yield 1')().next().value } catch (error) { return error.name }",
        "try { return typeof (async () => {}).constructor('return 1')() } catch (error) { return error.name }",
        "try { return Reflect.construct((() => {}).constructor, ['return 1'])() } catch (error) { return error.name }",
        "try { return Object.getPrototypeOf((function* () {}).constructor)('return 1')() } catch (error) { return error.name }",
        "return (() => {}) instanceof Function ? 'TypeError' : 'no'",
    ];
    let mut scripts = scripts(&codes);
    for (index, code) in codes.iter().enumerate() {
        let name = run_with(&mut scripts, index, "x").unwrap();
        assert!(name == "TypeError" || name == "ReferenceError", "{code}: {name}");
    }
}

#[test]
fn there_is_no_way_out_of_the_engine() {
    for name in [
        "require",
        "process",
        "fetch",
        "setTimeout",
        "console",
        "print",
        "std",
        "os",
        "queueMicrotask",
        "WeakRef",
        "FinalizationRegistry",
        "performance",
        "Worker",
        "XMLHttpRequest",
        "module",
    ] {
        let mut scripts = scripts(&[&format!("typeof {name}")]);
        assert_eq!(run_with(&mut scripts, 0, "x").as_deref(), Ok("undefined"), "{name}");
    }
}

#[test]
fn ordinary_assignments_over_inherited_names_work() {
    let codes = [
        "const counts = {}; for (const word of ['constructor', 'a', 'a', 'valueOf']) counts[word] = (Object.hasOwn(counts, word) ? counts[word] : 0) + 1; return counts",
        "const error = new Error('a'); error.name = 'Mine'; error.message = 'b'; return `${error}`",
        "class Mine extends TypeError { constructor() { super('c'); this.name = 'Mine' } } return String(new Mine())",
        "const o = {}; o.toString = () => 'own'; return `${o}`",
        "function F() {} F.prototype.toString = function () { return 'own' }; return `${new F()}`",
    ];
    let results = ["{\"constructor\":1,\"a\":2,\"valueOf\":1}", "Mine: b", "Mine: c", "own", "own"];
    let mut scripts = scripts(&codes);
    for (index, result) in results.iter().enumerate() {
        assert_eq!(run_with(&mut scripts, index, "x").as_deref(), Ok(*result), "{}", codes[index]);
    }
}

/// Runs a script that goes too far, then an ordinary one in the same evaluator.
#[track_caller]
fn check_ends(code: &str, with: Code) {
    let mut scripts = scripts(&[code, "\"still {{input.x}}\""]);
    for round in 0..2 {
        let failure = run_with(&mut scripts, 0, "x").unwrap_err();
        assert_eq!(failure.code, with, "{code}, round {round}: {failure:?}");
        assert_eq!(run_with(&mut scripts, 1, "here").as_deref(), Ok("still here"), "{code}");
    }
}

#[test]
fn a_script_that_loops_for_ever_fails_its_cell_and_no_more() {
    check_ends("for (;;) {} return 1", Code::ScriptTimeout);
    check_ends(
        "(() => { while (true) { try { for (;;) {} } catch {} finally { continue } } })()",
        Code::ScriptTimeout,
    );
    check_ends("[1].map(function again(n) { for (;;); })", Code::ScriptTimeout);
    check_ends("/^(a+)+$/.test(\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\")", Code::ScriptTimeout);
    check_ends("({ toJSON() { for (;;); } })", Code::ScriptTimeout);
    check_ends("Array.prototype.indexOf.call({ length: 2 ** 53 - 1 }, 1)", Code::ScriptTimeout);
}

#[test]
fn a_script_that_eats_memory_fails_its_cell_and_no_more() {
    check_ends(
        "const a = []; for (;;) a.push(\"x\".repeat(100000) + a.length); return a",
        Code::ScriptOutOfMemory,
    );
    check_ends("let a = \"xxxxxxxxxx\"; for (;;) a = [a, a].join(\"\"); return a", Code::ScriptOutOfMemory);
    check_ends("new Uint8Array(2 ** 30)", Code::ScriptOutOfMemory);
    check_ends("\"x\".repeat(2 ** 26)", Code::ScriptOutOfMemory);
}

#[test]
fn a_script_that_calls_itself_too_deeply_fails_its_cell_and_no_more() {
    check_ends("const f = () => f() + 1; return f()", Code::ScriptStackOverflow);
    check_ends(
        "JSON.stringify((() => { let a = {}; for (let i = 0; i < 5e3; i++) a = { a }; return a })())",
        Code::ScriptStackOverflow,
    );
}

#[test]
fn unfinished_promises_belong_to_no_later_row() {
    let mut scripts =
        scripts(&["Promise.resolve().then(() => { throw 1 }); return \"{{input.x}}\"", "\"{{input.x}}\""]);
    for _ in 0..3 {
        assert_eq!(run_with(&mut scripts, 0, "a").as_deref(), Ok("a"));
        assert_eq!(run_with(&mut scripts, 1, "b").as_deref(), Ok("b"));
    }
}

#[test]
fn memory_does_not_grow_with_the_rows() {
    // Each row leaves a cycle of about 100 kB for the garbage collector: together three times the limit.
    let code = "const a = { text: \"x\".repeat(100000) + \"{{input.x}}\" }; a.self = a; return a.text.length";
    let mut scripts = scripts(&[code]);
    for _ in 0..1_000 {
        assert_eq!(run_with(&mut scripts, 0, "x").as_deref(), Ok("100001"));
    }
}
