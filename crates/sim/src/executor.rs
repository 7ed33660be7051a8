//! The scheduler: futures on simulated time. Which of the tasks that can go on does so, is drawn; nothing else decides.
//!
//! A task belongs to a process. A process that crashes loses its tasks wherever they stand; one that is paused keeps
//! them and polls none, so it goes on later as if no time had passed: a zombie.

use crate::{audit::Audit, rng::Rng, trace::Trace};
use futures::future::{Either, select};
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    fmt::Arguments,
    future::Future,
    pin::{Pin, pin},
    rc::Rc,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

/// A place where tasks run: a node's process, the database server, or the world around them.
pub(crate) type ProcessId = usize;

/// So many steps at one moment are a loop without end.
const MAX_STEPS: u64 = 100_000;

type Boxed = Pin<Box<dyn Future<Output = ()>>>;

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct Sim(Rc<Core>);

struct Core {
    now: Cell<Duration>,
    next: Cell<u64>,
    rng: RefCell<Rng>,
    trace: RefCell<Trace>,
    audit: RefCell<Audit>,
    timers: RefCell<BTreeMap<(Duration, u64), Waker>>,
    ready: Arc<Mutex<Vec<u64>>>,
    tasks: RefCell<BTreeMap<u64, Task>>,
    /// Paused processes, with their tasks that could go on.
    parked: RefCell<BTreeMap<ProcessId, Vec<u64>>>,
    names: Vec<&'static str>,
    polls: Cell<u64>,
}

struct Task {
    process: ProcessId,
    scope: u64,
    /// Away while it is polled.
    future: Option<Boxed>,
    waker: Arc<TaskWaker>,
}

struct TaskWaker {
    task: u64,
    queued: AtomicBool,
    ready: Arc<Mutex<Vec<u64>>>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        if !self.queued.swap(true, Ordering::Relaxed) {
            self.ready.lock().unwrap_or_else(PoisonError::into_inner).push(self.task);
        }
    }
}

impl Sim {
    pub(crate) fn new(seed: u64, keep: usize, names: Vec<&'static str>) -> Self {
        Self(Rc::new(Core {
            now: Cell::new(Duration::ZERO),
            next: Cell::new(1),
            rng: RefCell::new(Rng::new(seed)),
            trace: RefCell::new(Trace::new(keep)),
            audit: RefCell::default(),
            timers: RefCell::default(),
            ready: Arc::default(),
            tasks: RefCell::default(),
            parked: RefCell::default(),
            names,
            polls: Cell::new(0),
        }))
    }

    /// True time, which no process knows.
    pub(crate) fn now(&self) -> Duration {
        self.0.now.get()
    }

    pub(crate) fn name(&self, process: ProcessId) -> &'static str {
        self.0.names.get(process).copied().unwrap_or("?")
    }

    /// A number that was not given out before.
    pub(crate) fn unique(&self) -> u64 {
        let number = self.0.next.get();
        self.0.next.set(number + 1);
        number
    }

    pub(crate) fn draw<T>(&self, f: impl FnOnce(&mut Rng) -> T) -> T {
        f(&mut self.0.rng.borrow_mut())
    }

    /// Notes what happened.
    pub(crate) fn note(&self, process: ProcessId, what: Arguments<'_>) {
        self.0.trace.borrow_mut().note(self.now(), self.name(process), what);
    }

    pub(crate) fn trace<T>(&self, f: impl FnOnce(&Trace) -> T) -> T {
        f(&self.0.trace.borrow())
    }

    /// Tells the auditor what it should know.
    pub(crate) fn audit<T>(&self, f: impl FnOnce(&mut Audit) -> T) -> T {
        f(&mut self.0.audit.borrow_mut())
    }

    pub(crate) fn polls(&self) -> u64 {
        self.0.polls.get()
    }

    pub(crate) fn spawn(&self, process: ProcessId, scope: u64, future: impl Future<Output = ()> + 'static) {
        let task = self.unique();
        let waker = Arc::new(TaskWaker { task, queued: AtomicBool::new(false), ready: self.0.ready.clone() });
        waker.clone().wake();
        let future: Option<Boxed> = Some(Box::pin(future));
        self.0.tasks.borrow_mut().insert(task, Task { process, scope, future, waker });
    }

    /// Ends all tasks of a process, wherever they stand.
    pub(crate) fn kill(&self, process: ProcessId) {
        self.0.parked.borrow_mut().remove(&process);
        self.remove(|task| task.process == process);
    }

    /// Ends all tasks of a scope.
    pub(crate) fn cancel(&self, scope: u64) {
        self.remove(|task| task.scope == scope);
    }

    fn remove(&self, which: impl Fn(&Task) -> bool) {
        let dead: Vec<u64> = self.0.tasks.borrow().iter().filter(|(_, t)| which(t)).map(|(id, _)| *id).collect();
        // Dropped when nothing is borrowed any more: what a future owns may wake others.
        let dead: Vec<Option<Task>> = dead.iter().map(|id| self.0.tasks.borrow_mut().remove(id)).collect();
        drop(dead);
    }

    pub(crate) fn pause(&self, process: ProcessId) {
        self.0.parked.borrow_mut().entry(process).or_default();
    }

    pub(crate) fn resume(&self, process: ProcessId) {
        let parked = self.0.parked.borrow_mut().remove(&process).unwrap_or_default();
        self.0.ready.lock().unwrap_or_else(PoisonError::into_inner).extend(parked);
    }

    /// Runs until nothing is left to do, or time reaches `end`, or something is wrong.
    pub(crate) fn run_until(&self, end: Duration) {
        loop {
            let before = self.polls();
            while let Some(task) = self.take_ready() {
                self.poll(task);
                if self.polls() - before > MAX_STEPS {
                    let name = self.0.tasks.borrow().get(&task).map_or("?", |task| self.name(task.process));
                    self.audit(|audit| audit.violated(format_args!("{name} goes on and on while no time passes")));
                }
                if self.0.audit.borrow().violation().is_some() {
                    return;
                }
            }
            let first = self.0.timers.borrow().first_key_value().map(|(key, _)| *key);
            match first {
                Some(key) if key.0 <= end => {
                    self.0.now.set(self.now().max(key.0));
                    let waker = self.0.timers.borrow_mut().remove(&key);
                    waker.into_iter().for_each(Waker::wake);
                }
                _ => {
                    self.0.now.set(end);
                    return;
                }
            }
        }
    }

    fn take_ready(&self) -> Option<u64> {
        let mut ready = self.0.ready.lock().unwrap_or_else(PoisonError::into_inner);
        match ready.len() {
            0 => None,
            1 => ready.pop(),
            several => Some(ready.swap_remove(self.draw(|rng| rng.below(several)))),
        }
    }

    fn poll(&self, id: u64) {
        let (mut future, waker) = {
            let mut tasks = self.0.tasks.borrow_mut();
            let Some(task) = tasks.get_mut(&id) else { return };
            if let Some(parked) = self.0.parked.borrow_mut().get_mut(&task.process) {
                // It stays queued, so that nothing wakes it meanwhile.
                parked.push(id);
                return;
            }
            let Some(future) = task.future.take() else { return };
            (future, task.waker.clone())
        };
        self.0.polls.set(self.0.polls.get() + 1);
        waker.queued.store(false, Ordering::Relaxed);
        let is_done = future.as_mut().poll(&mut Context::from_waker(&Waker::from(waker))).is_ready();
        if is_done {
            drop(future);
            self.0.tasks.borrow_mut().remove(&id);
        } else if let Some(task) = self.0.tasks.borrow_mut().get_mut(&id) {
            task.future = Some(future);
        }
    }

    /// Waits so long, in true time.
    pub(crate) fn sleep(&self, duration: Duration) -> Sleep {
        Sleep { sim: self.clone(), until: self.now() + duration, key: None }
    }

    /// Ends everything. Futures own what they run on, so nothing would ever be freed otherwise.
    pub(crate) fn shut_down(&self) {
        self.remove(|_| true);
        self.0.timers.borrow_mut().clear();
    }
}

/// See [`Sim::sleep`].
pub(crate) struct Sleep {
    sim: Sim,
    until: Duration,
    key: Option<(Duration, u64)>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.sim.now() >= self.until {
            return Poll::Ready(());
        }
        let key = *match &self.key {
            Some(key) => key,
            None => {
                let key = (self.until, self.sim.unique());
                self.key.insert(key)
            }
        };
        self.sim.0.timers.borrow_mut().insert(key, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.sim.0.timers.borrow_mut().remove(&key);
        }
    }
}

/// What a task knows of the process it runs in: its clock, and how to start more tasks. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Host {
    pub(crate) sim: Sim,
    pub(crate) process: ProcessId,
    scope: u64,
    /// How much too fast its clock runs.
    drift_ppm: i64,
}

impl Host {
    pub(crate) fn new(sim: &Sim, process: ProcessId, drift_ppm: i64) -> Self {
        Self { sim: sim.clone(), process, scope: sim.unique(), drift_ppm }
    }

    /// The same process, but its tasks can be ended without the others.
    pub(crate) fn child(&self) -> Self {
        Self { scope: self.sim.unique(), ..self.clone() }
    }

    /// Ends the tasks that were started through this handle.
    pub(crate) fn end(&self) {
        self.sim.cancel(self.scope);
    }

    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        self.sim.spawn(self.process, self.scope, future);
    }

    /// This process's monotonic clock.
    pub(crate) fn monotonic(&self) -> Duration {
        scaled(self.sim.now(), 1_000_000 + self.drift_ppm, 1_000_000)
    }

    /// Waits so long, by this process's clock, or a little longer.
    pub(crate) fn sleep(&self, duration: Duration) -> Sleep {
        let exact = scaled(duration, 1_000_000, 1_000_000 + self.drift_ppm);
        self.sim.sleep(exact + Duration::from_micros(u64::from(!duration.is_zero())))
    }

    /// What the future gives, unless it takes too long.
    pub(crate) async fn within<T>(&self, limit: Duration, future: impl Future<Output = T>) -> Option<T> {
        match select(pin!(future), self.sleep(limit)).await {
            Either::Left((output, _)) => Some(output),
            Either::Right(_) => None,
        }
    }

    pub(crate) fn note(&self, what: Arguments<'_>) {
        self.sim.note(self.process, what);
    }
}

fn scaled(duration: Duration, by: i64, of: i64) -> Duration {
    let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX / 2_000_000);
    Duration::from_micros((micros.saturating_mul(by) / of).max(0).unsigned_abs())
}

/// Something that changes: whoever waits for a change after a version is woken by it. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Signal(Rc<RefCell<(u64, Vec<Waker>)>>);

impl Signal {
    pub(crate) fn version(&self) -> u64 {
        self.0.borrow().0
    }

    pub(crate) fn raise(&self) {
        let wakers = {
            let mut inner = self.0.borrow_mut();
            inner.0 += 1;
            std::mem::take(&mut inner.1)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Waits until it was raised after `seen`.
    pub(crate) async fn after(&self, seen: u64) {
        std::future::poll_fn(|context| {
            let mut inner = self.0.borrow_mut();
            if inner.0 > seen {
                return Poll::Ready(());
            }
            if !inner.1.iter().any(|waker| waker.will_wake(context.waker())) {
                inner.1.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }
}
