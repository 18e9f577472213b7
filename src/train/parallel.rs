//! A network on several devices: PyTorch's `nn.DataParallel`, which d2l's `train_ch13` (section 13.1) trains with.

use std::panic::{self, AssertUnwindSafe};
use std::thread;

use tch::{Device, Tensor};

use crate::layers::{Module, Slot, Synchronized, to_device, visit};
use crate::torch::{GeneratorState, ThreadContext};

/// PyTorch's `nn.DataParallel(module, device_ids=devices)`: cuts a batch along its first dimension, as `torch.chunk`
/// does, gives each device a part and a replica of `module`, runs the replicas at the same time, the first in the
/// calling thread and each other in one of its own, and puts their outputs together on the first device. So it does in
/// training and in evaluation.
///
/// `module` itself is the replica of the first device: running statistics are those of the first part of each batch,
/// and what the other replicas make of theirs is lost. All parameters are `module`'s; the gradients of n devices add
/// up as PyTorch's do, ((g0 + g1) + g2) + ..., in whatever order the backward pass comes by them.
///
/// The names of the weights are `module`'s, without the prefix `module.` that PyTorch's class puts before them.
/// Devices may be alike: `cpu,cpu` runs two replicas on the same memory.
///
/// `loss.backward()` runs the replicas one after the other on the CPU, in the thread that calls it; libtorch gives
/// each CUDA device a thread of its own for it.
pub struct DataParallel<M> {
    devices: Vec<Device>,
    module: M,
    /// The other devices'. Between two calls they hold what is left of the last.
    replicas: Vec<M>,
}

/// A tensor of the module, and what it is.
type Own = (Slot, Tensor);

impl<M: Module> DataParallel<M> {
    /// Moves `module` to the first of `devices`; handles of its parameters are to be taken afterwards. `build` makes
    /// another network of the same structure: its weights do not matter, and the random numbers that they take are
    /// given back.
    ///
    /// # Panics
    /// If there is no device.
    pub fn new(mut module: M, devices: &[Device], build: impl Fn() -> M) -> Self {
        let (&first, others) = devices.split_first().expect("a network runs on some device");
        to_device(&mut module, first);
        let no_cpu = "libtorch always has a CPU generator";
        let generator = GeneratorState::capture(Device::Cpu).expect(no_cpu);
        let replicas = others.iter().map(|_| build()).collect();
        generator.restore().expect(no_cpu);
        Self { devices: devices.to_vec(), module, replicas }
    }

    /// Gives the first `n` replicas after the module the module's parameters, differentiably, and copies of its
    /// buffers; gives the module aliases of its own parameters. Gives back the tensors that it had.
    ///
    /// The aliases form a chain: the last replica has an alias a of a parameter, the one before it an alias of a, and
    /// so on; the first two share theirs. Each thus has two users, whose gradients it adds, and the order of addition
    /// does not depend on the order in which the backward pass reaches them.
    fn replicate(&mut self, n: usize) -> Vec<Own> {
        let mut own: Vec<Own> = Vec::new();
        visit(&mut self.module, &mut |_, slot, tensor| own.push((slot, tensor.shallow_clone())));
        let mut chain: Vec<Tensor> = own.iter().map(|(_, tensor)| tensor.shallow_clone()).collect();
        for (replica, &device) in self.replicas[..n].iter_mut().zip(&self.devices[1..]).rev() {
            let mut tensors = chain.iter_mut();
            visit(replica, &mut |name, slot, tensor| {
                let shared = tensors.next().unwrap_or_else(|| panic!("the module has no {name}"));
                *tensor = match slot {
                    Slot::Parameter => {
                        *shared = shared.alias();
                        shared.to_device(device)
                    }
                    Slot::Buffer => shared.detach().to_device_(device, shared.kind(), false, true),
                };
            });
        }
        let mut tensors = chain.into_iter();
        visit(&mut self.module, &mut |_, _, tensor| *tensor = tensors.next().expect("as many as before"));
        own
    }

    /// Gives the module its parameters back. Its buffers are where it left them.
    fn restore(&mut self, own: Vec<Own>) {
        let mut own = own.into_iter();
        visit(&mut self.module, &mut |_, _, tensor| {
            if let Some((Slot::Parameter, parameter)) = own.next() {
                *tensor = parameter;
            }
        });
    }
}

impl<M: Module> Module for DataParallel<M> {
    fn name(&self) -> &'static str {
        "DataParallel"
    }

    fn forward(&mut self, x: &Tensor, train: bool) -> Tensor {
        let parts = x.chunk(self.devices.len() as i64, 0);
        // One device, or a batch of one image.
        if parts.len() == 1 {
            return self.module.forward(x, train);
        }
        let parts: Vec<Tensor> =
            parts.iter().zip(&self.devices).map(|(part, &device)| part.to_device(device)).collect();
        let own = self.replicate(parts.len() - 1);
        let outputs = parallel_apply(&mut self.module, &mut self.replicas, &parts, train);
        self.restore(own);
        let gathered = |output: thread::Result<Tensor>| match output {
            Ok(output) => output.to_device(self.devices[0]),
            Err(panic) => panic::resume_unwind(panic),
        };
        Tensor::cat(&outputs.into_iter().map(gathered).collect::<Vec<_>>(), 0)
    }

    fn tensors(&mut self) -> Vec<(&'static str, Slot, &mut Tensor)> {
        self.module.tensors()
    }

    fn children(&mut self) -> Vec<(String, &mut dyn Module)> {
        self.module.children()
    }

    fn xavier_weight(&mut self) -> Option<&mut Tensor> {
        self.module.xavier_weight()
    }

    fn synchronized(&mut self) -> Option<&mut dyn Synchronized> {
        self.module.synchronized()
    }
}

/// The output of each part, or the panic that it ended in. The first runs here, every other in a thread of its own,
/// all with the gradient mode and the thread count of this thread.
fn parallel_apply<M: Module>(
    module: &mut M,
    replicas: &mut [M],
    parts: &[Tensor],
    train: bool,
) -> Vec<thread::Result<Tensor>> {
    let context = ThreadContext::here();
    thread::scope(|scope| {
        // A thread takes a handle of its own: tensors can be sent, and not shared.
        let parts: Vec<Tensor> = parts.iter().map(Tensor::shallow_clone).collect();
        let mut parts = parts.into_iter();
        let first = parts.next();
        let others: Vec<_> = replicas
            .iter_mut()
            .zip(parts)
            .map(|(replica, part)| scope.spawn(move || context.enter(|| replica.forward(&part, train))))
            .collect();
        let first = first.map(|part| panic::catch_unwind(AssertUnwindSafe(|| module.forward(&part, train))));
        first.into_iter().chain(others.into_iter().map(|thread| thread.join())).collect()
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::sync::{Arc, Barrier};
    use std::time::Duration;

    use tch::Kind;

    use super::*;
    use crate::layers::{Linear, Sequential, load_state, parameters, state};
    use crate::norm::{Dims, Variant};

    const CPU: Device = Device::Cpu;

    fn floats(tensor: &Tensor) -> Vec<f32> {
        Vec::try_from(tensor.detach().reshape([-1])).unwrap()
    }

    fn random(size: &[i64]) -> Tensor {
        Tensor::randn(size, (Kind::Float, CPU))
    }

    /// Passes its input on when as many threads as the barrier counts are here at once.
    struct Meeting(Arc<Barrier>);

    impl Module for Meeting {
        fn name(&self) -> &'static str {
            "Meeting"
        }

        fn forward(&mut self, x: &Tensor, _train: bool) -> Tensor {
            self.0.wait();
            x.shallow_clone()
        }
    }

    #[test]
    fn replicas_run_at_the_same_time() {
        let barrier = Arc::new(Barrier::new(3));
        let (done, finished) = channel();
        thread::spawn(move || {
            let build = || Meeting(Arc::clone(&barrier));
            let mut net = DataParallel::new(build(), &[CPU; 3], build);
            let x = Tensor::from_slice(&[1.0f32, 2.0, 3.0, 4.0, 5.0]);
            let _ = done.send(floats(&net.forward(&x, true)));
        });
        let y = finished.recv_timeout(Duration::from_secs(60));
        assert_eq!(
            y.expect("one replica waits for the others, which have not begun"),
            [1.0, 2.0, 3.0, 4.0, 5.0]
        );
    }

    /// Gives 1 where gradients are recorded, else 0.
    struct GradMode(Tensor);

    impl Module for GradMode {
        fn name(&self) -> &'static str {
            "GradMode"
        }

        fn forward(&mut self, x: &Tensor, _train: bool) -> Tensor {
            x.full_like(f64::from(u8::from((x * &self.0).requires_grad())))
        }
    }

    #[test]
    fn replicas_record_gradients_where_the_caller_does() {
        let build = || GradMode(Tensor::from(1.0f32).set_requires_grad(true));
        let mut net = DataParallel::new(build(), &[CPU; 3], build);
        let x = random(&[3]);
        assert_eq!(floats(&net.forward(&x, true)), [1.0; 3]);
        assert_eq!(floats(&tch::no_grad(|| net.forward(&x, true))), [0.0; 3]);
    }

    /// With three terms and more, the order of addition decides bits.
    #[test]
    fn gradients_add_up_from_the_first_device_to_the_last() {
        let build = || Linear::new(40, 50);
        let mut net = DataParallel::new(build(), &[CPU; 4], build);
        let (x, factor) = (random(&[10, 40]), random(&[10, 50]));
        (net.forward(&x, true) * &factor).sum(Kind::Float).backward();

        let mut alone = build();
        load_state(&mut alone, &state(&mut net), "the network on four devices").unwrap();
        // Parts of 3, 3, 3 and 1.
        let parts: Vec<Vec<Tensor>> = (x.chunk(4, 0).iter().zip(factor.chunk(4, 0)))
            .map(|(x, factor)| {
                let loss = (alone.forward(x, true) * factor).sum(Kind::Float);
                Tensor::run_backward(&[loss], &parameters(&mut alone), false, false)
            })
            .collect();
        assert_eq!(parts.len(), 4);
        for (i, parameter) in parameters(&mut net).iter().enumerate() {
            let sum = |order: [usize; 4]| {
                floats(&order[1..].iter().fold(parts[order[0]][i].copy(), |sum, &k| sum + &parts[k][i]))
            };
            assert_eq!(floats(&parameter.grad()), sum([0, 1, 2, 3]));
            assert_ne!(sum([3, 2, 1, 0]), sum([0, 1, 2, 3]), "such numbers tell the orders apart");
        }
    }

    #[test]
    fn statistics_are_those_of_the_first_part_and_weights_stay_the_modules() {
        for variant in Variant::NOTEBOOKS {
            let build =
                || Sequential::new().then(Linear::new(3, 2)).then_boxed(variant.batch_norm(2, Dims::Two));
            let mut net = DataParallel::new(build(), &[CPU; 2], build);
            let mut alone = build();
            load_state(&mut alone, &state(&mut net), "the network on two devices").unwrap();

            let (handles, x) = (parameters(&mut net), random(&[7, 3]));
            for train in [true, false, true] {
                let run = |net: &mut dyn Module, x: &Tensor| tch::no_grad(|| net.forward(x, train));
                let y = run(&mut net, &x);
                // The second part's statistics are lost.
                let kept =
                    state(&mut alone).into_iter().map(|(name, t)| (name, t.copy())).collect::<Vec<_>>();
                let second = run(&mut alone, &x.narrow(0, 4, 3));
                load_state(&mut alone, &kept, "before").unwrap();
                let first = run(&mut alone, &x.narrow(0, 0, 4));
                assert_eq!(floats(&y), floats(&Tensor::cat(&[first, second], 0)));
            }
            let pairs = |net: &mut dyn Module| {
                state(net).into_iter().map(|(n, t)| (n, floats(&t))).collect::<Vec<_>>()
            };
            assert_eq!(pairs(&mut net), pairs(&mut alone));
            for (mine, handle) in parameters(&mut net).iter().zip(&handles) {
                assert!(mine.is_leaf() && mine.data_ptr() == handle.data_ptr());
            }
        }
    }

    #[test]
    fn a_replica_that_fails_fails_the_call() {
        let build = || Linear::new(3, 2);
        let mut net = DataParallel::new(build(), &[CPU; 2], build);
        let refused = net.try_forward(&random(&[4, 5]), true).unwrap_err();
        assert!(refused.reason.contains("multiplied"), "{refused}");
        assert!(parameters(&mut net).iter().all(Tensor::is_leaf));
    }
}
