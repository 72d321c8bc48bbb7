//! The script engine: QuickJS with limits, its shared objects frozen, one per evaluator.
//!
//! It has no IO: nothing is handed to scripts but their parameters. Whatever makes an evaluation end other than
//! by returning or throwing also ends the engine, and the next evaluation starts a fresh one.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use infill_model::value::{Value, is_empty};
use rquickjs::context::{EvalOptions, intrinsic};
use rquickjs::convert::Coerced;
use rquickjs::function::Args;
use rquickjs::{Context, Ctx, Function, Runtime, Type, Value as JsValue};

use super::bind::{Form, Script};
use crate::failure::{Code, Failure};
use crate::reference::RowView;

/// How long one evaluation of one script may take, in wall time.
///
/// Generous: a formatter takes microseconds. Short enough that a batch of a hundred rows that all loop ends in ten
/// seconds. It is checked between the steps of a
/// script, so a single built-in call on megabytes of text may overrun it.
pub const TIME_LIMIT: Duration = Duration::from_millis(100);

/// How much memory one script engine may hold, its own built-in objects (under a megabyte) included.
pub const MEMORY_LIMIT_BYTES: usize = 32 * 1024 * 1024;

/// How deep scripts may call, in bytes of stack; an eighth of the smallest stack a worker thread has.
pub const STACK_LIMIT_BYTES: usize = 256 * 1024;

/// The engine asks after every ten thousand calls and turns of loops whether to go on. A script that was asked fewer
/// times than this has done a few milliseconds of work at most: if its time is up all the same, it waited for a
/// processor, and is let finish.
const MIN_ASKINGS: u32 = 20;

/// The most characters kept of what a script throws: it is stored with the row, and read by a person.
const MAX_THROWN_CHARS: usize = 500;

/// The name of scripts in the engine's stack traces.
const FILE_NAME: &str = "formatter.js";

/// Freezes what scripts share.
const LOCKDOWN: &str = include_str!("lockdown.js");

/// What a script may use. Absent: clocks other than `Date`, weak references, whose clearing a script could see.
type Intrinsics = (
    intrinsic::Date,
    intrinsic::Eval,
    intrinsic::RegExpCompiler,
    intrinsic::RegExp,
    intrinsic::Json,
    intrinsic::Proxy,
    intrinsic::MapSet,
    intrinsic::TypedArrays,
    intrinsic::Promise,
);

/// A script engine that could not be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There was no memory for it, or it refused its own set-up.
    #[error("start the script engine")]
    Start(#[source] rquickjs::Error),
    /// A script that compiled when the chain did no longer does.
    #[error("compile the scripts of the chain: {0}")]
    Compile(String),
}

/// What the parser said, and where in the function: line and column from 1, columns in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SyntaxError {
    pub(super) message: String,
    pub(super) at: Option<(u32, u32)>,
}

/// Whether a script is a function at all. Nothing of it is run.
pub(super) fn check(script: &Script) -> Result<(), SyntaxError> {
    let failed = |error: rquickjs::Error| SyntaxError { message: error.to_string(), at: None };
    let (_, context) = limited_context().map_err(failed)?;
    context.with(|ctx| match compile(&ctx, script) {
        Ok(_) => Ok(()),
        Err(rquickjs::Error::Exception) => {
            let thrown = Thrown::catch(&ctx);
            Err(SyntaxError { message: thrown.message, at: thrown.at })
        }
        Err(error) => Err(failed(error)),
    })
}

fn limited_context() -> Result<(Runtime, Context), rquickjs::Error> {
    let runtime = Runtime::new()?;
    runtime.set_memory_limit(MEMORY_LIMIT_BYTES);
    runtime.set_max_stack_size(STACK_LIMIT_BYTES);
    let context = Context::custom::<Intrinsics>(&runtime)?;
    Ok((runtime, context))
}

fn compile<'js>(ctx: &Ctx<'js>, script: &Script) -> rquickjs::Result<Function<'js>> {
    let mut options = EvalOptions::default();
    options.strict = true;
    options.filename = Some(FILE_NAME.to_owned());
    ctx.eval_with_options(script.function(), options)
}

/// The scripts of a chain and the engine they run in.
pub(crate) struct Scripts {
    scripts: Arc<[Script]>,
    /// `None` after a failure that ended it, and when there are no scripts.
    engine: Option<Engine>,
}

impl fmt::Debug for Scripts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scripts").field("n_scripts", &self.scripts.len()).finish_non_exhaustive()
    }
}

impl Scripts {
    /// Starts an engine, if there is anything to run in it.
    pub(crate) fn new(scripts: Arc<[Script]>) -> Result<Self, Error> {
        let engine = if scripts.is_empty() { None } else { Some(Engine::new(&scripts)?) };
        Ok(Self { scripts, engine })
    }

    /// Runs script `index` on a row; its result as text.
    pub(crate) fn run(&mut self, index: usize, row: RowView<'_>) -> Result<String, Failure> {
        let engine = match self.engine.take() {
            Some(engine) => engine,
            None => Engine::new(&self.scripts).map_err(|error| {
                Failure::new(
                    Code::ScriptEngine,
                    format!("the script engine could not be started again ({error})"),
                )
            })?,
        };
        let Some(script) = self.scripts.get(index) else {
            return Err(Failure::new(Code::ScriptEngine, "the chain has no such script"));
        };
        let (result, is_spent) = engine.run(index, script, row);
        if !is_spent {
            self.engine = Some(engine);
        }
        result
    }
}

struct Engine {
    context: Context,
    runtime: Runtime,
    deadline: Arc<Deadline>,
}

/// The compiled scripts, kept by the engine itself: their order is that of the chain's.
type Functions<'js> = Vec<Function<'js>>;

impl Engine {
    fn new(scripts: &[Script]) -> Result<Self, Error> {
        let (runtime, context) = limited_context().map_err(Error::Start)?;
        context.with(|ctx| {
            ctx.eval::<(), _>(LOCKDOWN).map_err(Error::Start)?;
            let functions: Functions<'_> = scripts
                .iter()
                .map(|script| compile(&ctx, script).map_err(|_| Error::Compile(Thrown::catch(&ctx).message)))
                .collect::<Result<_, _>>()?;
            match ctx.store_userdata(functions) {
                Ok(_) => Ok(()),
                Err(error) => Err(Error::Compile(error.to_string())),
            }
        })?;
        let deadline = Arc::new(Deadline::new());
        let asked = Arc::clone(&deadline);
        runtime.set_interrupt_handler(Some(Box::new(move || asked.is_over())));
        Ok(Self { context, runtime, deadline })
    }

    /// The result, and whether the engine must not be used again.
    fn run(&self, index: usize, script: &Script, row: RowView<'_>) -> (Result<String, Failure>, bool) {
        self.deadline.start();
        let result = self.context.with(|ctx| {
            let result = call(&ctx, index, script, row);
            result.map_err(|error| (self.failure(&ctx, error), error_shows_empty(script, row)))
        });
        // A promise's jobs are never run: they would belong to no row. Those left behind go with the engine.
        let mut is_spent = self.runtime.is_job_pending();
        let result = result.map_err(|(mut thrown, empty)| {
            is_spent |= thrown.ends_engine();
            if thrown.code == Code::ScriptThrew {
                thrown.message = script.in_authors_words(&thrown.message);
                if let Some(place) = thrown.at.and_then(|(line, column)| script.place(line, column)) {
                    thrown.message.push_str(&format!(" at {place}"));
                }
                thrown.message.push_str(&empty);
            }
            Failure::new(thrown.code, thrown.message)
        });
        (result, is_spent)
    }

    fn failure(&self, ctx: &Ctx<'_>, error: Wrong) -> Thrown {
        let ended = |code, message: String| Thrown { code, message, at: None };
        let error = match error {
            Wrong::Result(message) => return ended(Code::ScriptResult, message.to_owned()),
            Wrong::Engine(error) => error,
        };
        if let rquickjs::Error::Utf8(_) = error {
            let message =
                "the script returned half of a character; cut text by characters, as in [...text][0]";
            return ended(Code::ScriptResult, message.to_owned());
        }
        let thrown = if error.is_exception() {
            Thrown::catch(ctx)
        } else {
            // Conversions to text and of parameters fail so when there is no memory for them.
            ended(Code::ScriptOutOfMemory, String::new())
        };
        if self.deadline.is_missed() {
            let millis = TIME_LIMIT.as_millis();
            return ended(
                Code::ScriptTimeout,
                format!("the script ran longer than {millis} ms; does it loop for ever?"),
            );
        }
        match thrown.code {
            Code::ScriptOutOfMemory => {
                let mib = MEMORY_LIMIT_BYTES / (1024 * 1024);
                ended(Code::ScriptOutOfMemory, format!("the script needed more than {mib} MiB of memory"))
            }
            Code::ScriptStackOverflow => {
                let message = "the script called itself too deeply; does the recursion end?";
                ended(Code::ScriptStackOverflow, message.to_owned())
            }
            Code::ScriptThrew
            | Code::ScriptTimeout
            | Code::ScriptResult
            | Code::ScriptEngine
            | Code::NotANumber
            | Code::TemplateFailed
            | Code::InputEmpty => thrown,
        }
    }
}

/// What went wrong in a call.
enum Wrong {
    Engine(rquickjs::Error),
    Result(&'static str),
}

impl From<rquickjs::Error> for Wrong {
    fn from(error: rquickjs::Error) -> Self {
        Self::Engine(error)
    }
}

fn call(ctx: &Ctx<'_>, index: usize, script: &Script, row: RowView<'_>) -> Result<String, Wrong> {
    let functions = ctx.userdata::<Functions<'_>>();
    let Some(function) = functions.as_ref().and_then(|functions| functions.get(index)) else {
        return Err(Wrong::Result("the script was not compiled"));
    };
    let mut args = Args::new(ctx.clone(), script.params().len());
    for param in script.params() {
        args.push_arg(argument(ctx, &param.bound.resolve(row), param.form)?)?;
    }
    let result: JsValue<'_> = args.apply(function)?;
    text_of(ctx, result)
}

/// A value as a parameter. Text, the rule, is handed over as it is; lists and objects go by way of JSON, the one
/// form in which no key, not even `__proto__`, means anything.
fn argument<'js>(ctx: &Ctx<'js>, value: &Value, form: Form) -> rquickjs::Result<JsValue<'js>> {
    let text = |text: &str| rquickjs::String::from_str(ctx.clone(), text).map(rquickjs::String::into_value);
    match (value, form) {
        (Value::Null, Form::Value) => Ok(JsValue::new_null(ctx.clone())),
        (Value::Null, Form::Text) => text(""),
        (Value::Bool(bool), _) => Ok(JsValue::new_bool(ctx.clone(), *bool)),
        (Value::Number(number), _) => {
            Ok(JsValue::new_number(ctx.clone(), number.as_f64().unwrap_or(f64::NAN)))
        }
        (Value::String(string), _) => text(string),
        (Value::Array(_) | Value::Object(_), Form::Text) => text(&value.to_string()),
        (Value::Array(_) | Value::Object(_), Form::Value) => ctx.json_parse(value.to_string()),
    }
}

/// A result as text: what JavaScript prints, JSON for lists and objects, nothing for null and undefined.
fn text_of<'js>(ctx: &Ctx<'js>, result: JsValue<'js>) -> Result<String, Wrong> {
    if result.is_error() {
        return Err(Wrong::Result("the script returned an error; `throw` it to fail the cell"));
    }
    match result.type_of() {
        Type::Undefined | Type::Null | Type::Uninitialized => Ok(String::new()),
        Type::String | Type::Bool | Type::Int | Type::Float | Type::BigInt => {
            Ok(result.get::<Coerced<String>>()?.0)
        }
        Type::Array | Type::Object | Type::Proxy => {
            let Some(json) = ctx.json_stringify(result)? else { return Ok(String::new()) };
            let json = json.to_string()?;
            // A date is an object whose JSON is text: that text is meant, not its quoted form.
            Ok(if json.starts_with('"') { serde_json::from_str(&json).unwrap_or(json) } else { json })
        }
        Type::Promise => Err(Wrong::Result(
            "the script returned a promise; it cannot wait, so leave out `async` and `await`",
        )),
        Type::Function | Type::Constructor => Err(Wrong::Result("the script returned a function; call it")),
        Type::Symbol | Type::Exception | Type::Module | Type::Unknown => {
            Err(Wrong::Result("the script returned something that cannot be text"))
        }
    }
}

/// Names the references that were empty, the usual reason for a throw.
fn error_shows_empty(script: &Script, row: RowView<'_>) -> String {
    let mut empty: Vec<&str> = script
        .params()
        .iter()
        .filter(|param| is_empty(Some(&*param.bound.resolve(row))))
        .map(|param| param.bound.shown())
        .collect();
    empty.sort_unstable();
    empty.dedup();
    match empty.as_slice() {
        [] => String::new(),
        [only] => format!("; {only} was empty"),
        several => format!("; empty were {}", several.join(", ")),
    }
}

/// What a script threw, or how the engine ended it.
struct Thrown {
    code: Code,
    message: String,
    /// Line and column in the function.
    at: Option<(u32, u32)>,
}

impl Thrown {
    fn ends_engine(&self) -> bool {
        !matches!(self.code, Code::ScriptThrew | Code::ScriptResult)
    }

    /// Takes the pending exception.
    fn catch(ctx: &Ctx<'_>) -> Self {
        let value = ctx.catch();
        if value.is_null() {
            // Without the memory to make an error object, the engine throws null. Authors do not.
            return Self { code: Code::ScriptOutOfMemory, message: String::new(), at: None };
        }
        let Some(object) = value.as_object().filter(|_| value.is_error()) else {
            let text =
                value.get::<Coerced<String>>().map_or_else(|_| "something".into(), |text| Cow::from(text.0));
            let message = cut(format!("the script threw {text}"));
            return Self { code: Code::ScriptThrew, message, at: None };
        };
        let get = |key: &str| object.get::<_, Coerced<String>>(key).map(|text| text.0).unwrap_or_default();
        let (name, message) = (get("name"), get("message"));
        let code = match (name.as_str(), message.as_str()) {
            ("InternalError", message) if message.starts_with("out of memory") => Code::ScriptOutOfMemory,
            // Nor may there be the memory to read one.
            ("", "") => Code::ScriptOutOfMemory,
            ("RangeError", "Maximum call stack size exceeded") => Code::ScriptStackOverflow,
            _ => Code::ScriptThrew,
        };
        let message = if name == "SyntaxError" { message } else { format!("{name}: {message}") };
        Self { code, message: cut(message), at: place_in(&get("stack")) }
    }
}

fn cut(mut message: String) -> String {
    if let Some((at, _)) = message.char_indices().nth(MAX_THROWN_CHARS) {
        message.truncate(at);
        message.push('…');
    }
    message
}

/// The first place within a script that a stack trace names.
fn place_in(stack: &str) -> Option<(u32, u32)> {
    let (_, after) = stack.split_once(&format!("{FILE_NAME}:"))?;
    let (line, after) = after.split_once(':')?;
    let column = after.split(|c: char| !c.is_ascii_digit()).next()?;
    Some((line.parse().ok()?, column.parse().ok()?))
}

/// When the evaluation under way has to end. Shared with the engine's interrupt handler.
#[derive(Debug)]
struct Deadline {
    origin: Instant,
    /// Microseconds after `origin`.
    over_at: AtomicU64,
    n_askings: AtomicU32,
    missed: AtomicBool,
}

impl Deadline {
    fn new() -> Self {
        Self {
            origin: now(),
            over_at: AtomicU64::new(u64::MAX),
            n_askings: AtomicU32::new(0),
            missed: AtomicBool::new(false),
        }
    }

    fn micros(&self) -> u64 {
        u64::try_from(now().duration_since(self.origin).as_micros()).unwrap_or(u64::MAX)
    }

    fn start(&self) {
        let limit = u64::try_from(TIME_LIMIT.as_micros()).unwrap_or(u64::MAX);
        self.over_at.store(self.micros().saturating_add(limit), Ordering::Relaxed);
        self.n_askings.store(0, Ordering::Relaxed);
        self.missed.store(false, Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        let n_askings = self.n_askings.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let is_over = n_askings >= MIN_ASKINGS && self.micros() >= self.over_at.load(Ordering::Relaxed);
        if is_over {
            self.missed.store(true, Ordering::Relaxed);
        }
        is_over
    }

    fn is_missed(&self) -> bool {
        self.missed.load(Ordering::Relaxed)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a script that loops burns real time, also where a test has paused the clock; this crate knows no tokio"
)]
fn now() -> Instant {
    Instant::now()
}
