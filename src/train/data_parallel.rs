//! A network on several devices: PyTorch's `nn.DataParallel`, which d2l's `train_ch13` (section 13.1) trains with.

use std::panic::{self, AssertUnwindSafe};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use tch::nn::ModuleT;
use tch::{Device, Tensor};
use tch_extra::{GeneratorState, ThreadContext};

use crate::nets::Net;

/// PyTorch's `nn.DataParallel(net, device_ids=devices)`, in training and in evaluation. It cuts a batch along its first dimension, as
/// `torch.chunk` does, and gives each device a part and a replica of the network. The replicas run at the same time: the first in the
/// calling thread, each other one in a thread of its own. Their outputs are put together on the first device.
///
/// Running statistics are those of the first part of each batch; those of the other replicas are lost. Parameters are the network's.
/// The gradients of n devices add up as PyTorch's do, ((g0 + g1) + g2) + ..., in whatever order the backward pass reaches them.
///
/// The names of the weights are the network's, without the prefix `module.` that PyTorch's class puts before them.
/// Devices may be the same: `cpu,cpu` runs two replicas on the same memory.
///
/// On the CPU, `loss.backward()` runs the replicas one after the other in the thread that calls it. On CUDA, libtorch has a thread for
/// each device.
#[derive(Debug)]
pub struct DataParallel {
    devices: Vec<Device>,
    /// The network, for batches with a single part.
    module: Box<dyn ModuleT>,
    /// The network's variables, by name.
    variables: Vec<(String, Tensor)>,
    /// One for each device. Their tensors are filled anew at each call.
    replicas: Vec<Mutex<Net>>,
}

impl DataParallel {
    /// `net` on these devices; it moves to the first. `build` makes another network of the same structure, for the replicas. Its weights
    /// do not matter, and the random generator is set back after it.
    ///
    /// # Panics
    /// If there is no device.
    pub fn of(mut net: Net, devices: &[Device], build: impl Fn() -> Net) -> Net {
        let first = *devices.first().expect("a network runs on some device");
        net.vs.set_device(first);
        if devices.len() == 1 {
            return net;
        }
        let no_cpu = "libtorch always has a CPU generator";
        let generator = GeneratorState::capture(Device::Cpu).expect(no_cpu);
        let replica = |&device| {
            let mut replica = build();
            // Its variables are not leaves: each forward pass copies the network's into them, and gradients flow through the copies.
            replica.vs.freeze();
            replica.vs.set_device(device);
            Mutex::new(replica)
        };
        let replicas = devices.iter().map(replica).collect();
        generator.restore().expect(no_cpu);
        let variables = net.vs.variables().into_iter().collect();
        let module = Self { devices: devices.to_vec(), module: net.module, variables, replicas };
        Net { module: Box::new(module), vs: net.vs }
    }

    /// Copies the network's parameters and buffers into the first `n` replicas; gradients flow through the parameters.
    ///
    /// The parameters are passed on in a chain of aliases: the last replica has an alias a of a parameter, the one before it an alias
    /// of a, and so on; the first two share theirs. Each alias thus has two users, whose gradients it adds, and the order of addition
    /// does not depend on the order in which the backward pass reaches them.
    fn replicate(&self, n: usize) {
        let mut replicas: Vec<_> =
            self.replicas[..n].iter().map(|replica| lock(replica).vs.variables()).collect();
        for (name, variable) in &self.variables {
            let mut shared = variable.shallow_clone();
            for (i, replica) in replicas.iter_mut().enumerate().rev() {
                if i > 0 && variable.requires_grad() {
                    shared = shared.alias();
                }
                let own = replica.get_mut(name).expect("a replica has the network's names");
                own.detach_().copy_(&shared);
            }
        }
    }

    /// Copies the running statistics of the first replica into the network.
    fn keep_statistics(&self) {
        let first = lock(&self.replicas[0]).vs.variables();
        for (name, variable) in self.variables.iter().filter(|(_, variable)| !variable.requires_grad()) {
            variable.shallow_clone().copy_(&first[name]);
        }
    }

    /// The output of each part, or its panic. The first part runs in this thread, every other one in a thread of its own, with the
    /// gradient mode and the thread count of this thread.
    fn parallel_apply(&self, parts: Vec<Tensor>, train: bool) -> Vec<thread::Result<Tensor>> {
        let context = ThreadContext::here();
        thread::scope(|scope| {
            let mut parts = self.replicas.iter().zip(parts);
            let first = parts.next();
            let others: Vec<_> = parts
                .map(|(replica, part)| {
                    scope.spawn(move || context.enter(|| lock(replica).forward_t(&part, train)))
                })
                .collect();
            let first = first.map(|(replica, part)| {
                panic::catch_unwind(AssertUnwindSafe(|| lock(replica).forward_t(&part, train)))
            });
            first.into_iter().chain(others.into_iter().map(|thread| thread.join())).collect()
        })
    }
}

impl ModuleT for DataParallel {
    fn forward_t(&self, x: &Tensor, train: bool) -> Tensor {
        let parts = x.chunk(self.devices.len() as i64, 0);
        // A batch of one image.
        if parts.len() == 1 {
            return self.module.forward_t(x, train);
        }
        let parts: Vec<_> =
            parts.iter().zip(&self.devices).map(|(part, &device)| part.to_device(device)).collect();
        self.replicate(parts.len());
        let outputs = self.parallel_apply(parts, train);
        self.keep_statistics();
        let gathered = |output: thread::Result<Tensor>| match output {
            Ok(output) => output.to_device(self.devices[0]),
            Err(panic) => panic::resume_unwind(panic),
        };
        Tensor::cat(&outputs.into_iter().map(gathered).collect::<Vec<_>>(), 0)
    }
}

/// A replica that panicked is filled anew before it runs again.
fn lock(replica: &Mutex<Net>) -> MutexGuard<'_, Net> {
    replica.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::sync::{Arc, Barrier};
    use std::time::Duration;

    use tch::Kind;
    use tch::nn::Path;

    use super::*;
    use crate::layers::{linear, sequential};
    use crate::norm::{Dims, Norm, Variant};
    use crate::panics;
    use tch_extra::state_dict::load_state;

    const CPU: Device = Device::Cpu;

    fn floats(tensor: &Tensor) -> Vec<f32> {
        Vec::try_from(tensor.detach().reshape([-1])).unwrap()
    }

    fn random(size: &[i64]) -> Tensor {
        Tensor::randn(size, (Kind::Float, CPU))
    }

    /// Passes its input on when as many threads as the barrier counts are here at once.
    #[derive(Debug)]
    struct Meeting(Arc<Barrier>);

    impl ModuleT for Meeting {
        fn forward_t(&self, x: &Tensor, _train: bool) -> Tensor {
            self.0.wait();
            x.shallow_clone()
        }
    }

    #[test]
    fn replicas_run_at_the_same_time() {
        let barrier = Arc::new(Barrier::new(3));
        let (done, finished) = channel();
        thread::spawn(move || {
            let build = || Net::new(|_| Meeting(Arc::clone(&barrier)));
            let net = DataParallel::of(build(), &[CPU; 3], build);
            let x = Tensor::from_slice(&[1.0f32, 2.0, 3.0, 4.0, 5.0]);
            let _ = done.send(floats(&net.forward_t(&x, true)));
        });
        let y = finished.recv_timeout(Duration::from_secs(60));
        assert_eq!(
            y.expect("one replica waits for the others, which have not begun"),
            [1.0, 2.0, 3.0, 4.0, 5.0]
        );
    }

    /// Gives 1 where gradients are recorded, else 0.
    #[derive(Debug)]
    struct GradMode(Tensor);

    impl ModuleT for GradMode {
        fn forward_t(&self, x: &Tensor, _train: bool) -> Tensor {
            x.full_like(f64::from(u8::from((x * &self.0).requires_grad())))
        }
    }

    #[test]
    fn replicas_record_gradients_where_the_caller_does() {
        let build = || Net::new(|_| GradMode(Tensor::from(1.0f32).set_requires_grad(true)));
        let net = DataParallel::of(build(), &[CPU; 3], build);
        let x = random(&[3]);
        assert_eq!(floats(&net.forward_t(&x, true)), [1.0; 3]);
        assert_eq!(floats(&tch::no_grad(|| net.forward_t(&x, true))), [0.0; 3]);
    }

    /// With three terms and more, the order of addition decides bits.
    #[test]
    fn gradients_add_up_from_the_first_device_to_the_last() {
        let build = || Net::new(|p| linear(p, 40, 50));
        let net = DataParallel::of(build(), &[CPU; 4], build);
        let (x, factor) = (random(&[10, 40]), random(&[10, 50]));
        (net.forward_t(&x, true) * &factor).sum(Kind::Float).backward();

        let alone = build();
        load_state(&alone.vs, &net.state(), "the network on four devices").unwrap();
        // Parts of 3, 3, 3 and 1.
        let parts: Vec<Vec<Tensor>> = (x.chunk(4, 0).iter().zip(factor.chunk(4, 0)))
            .map(|(x, factor)| {
                let loss = (alone.forward_t(x, true) * factor).sum(Kind::Float);
                Tensor::run_backward(&[loss], &alone.vs.trainable_variables(), false, false)
            })
            .collect();
        assert_eq!(parts.len(), 4);
        for (i, parameter) in net.vs.trainable_variables().iter().enumerate() {
            let sum = |order: [usize; 4]| {
                floats(&order[1..].iter().fold(parts[order[0]][i].copy(), |sum, &k| sum + &parts[k][i]))
            };
            assert_eq!(floats(&parameter.grad()), sum([0, 1, 2, 3]));
            assert_ne!(sum([3, 2, 1, 0]), sum([0, 1, 2, 3]), "such numbers tell the orders apart");
        }
    }

    #[test]
    fn statistics_are_those_of_the_first_part_and_weights_stay_the_modules() {
        for variant in Variant::IN_PYTHON {
            let norm = Norm::from(variant);
            let layers = |p: &Path| {
                sequential(p)
                    .then(|p| linear(p, 3, 2))
                    .then_optional(|p| norm.batch_norm(p, 2, Dims::Two))
                    .done()
            };
            let build = || Net::new(layers);
            let net = DataParallel::of(build(), &[CPU; 2], build);
            let alone = build();
            load_state(&alone.vs, &net.state(), "the network on two devices").unwrap();

            let (handles, x) = (net.vs.trainable_variables(), random(&[7, 3]));
            for train in [true, false, true] {
                let run = |net: &Net, x: &Tensor| tch::no_grad(|| net.forward_t(x, train));
                let y = run(&net, &x);
                // The second part's statistics are lost.
                let kept = alone.state().into_iter().map(|(name, t)| (name, t.copy())).collect::<Vec<_>>();
                let second = run(&alone, &x.narrow(0, 4, 3));
                load_state(&alone.vs, &kept, "before").unwrap();
                let first = run(&alone, &x.narrow(0, 0, 4));
                assert_eq!(floats(&y), floats(&Tensor::cat(&[first, second], 0)));
            }
            let pairs = |net: &Net| net.state().into_iter().map(|(n, t)| (n, floats(&t))).collect::<Vec<_>>();
            assert_eq!(pairs(&net), pairs(&alone));
            for (mine, handle) in net.vs.trainable_variables().iter().zip(&handles) {
                assert!(mine.is_leaf() && mine.data_ptr() == handle.data_ptr());
            }
        }
    }

    #[test]
    fn a_replica_that_fails_fails_the_call() {
        let build = || Net::new(|p| linear(p, 3, 2));
        let net = DataParallel::of(build(), &[CPU; 2], build);
        let x = random(&[4, 5]);
        let refused = panic::catch_unwind(AssertUnwindSafe(|| net.forward_t(&x, true))).unwrap_err();
        assert!(panics::words(refused.as_ref()).contains("multiplied"));
        assert!(net.vs.trainable_variables().iter().all(Tensor::is_leaf));
        assert_eq!(net.forward_t(&random(&[4, 3]), true).size(), [4, 2], "the next batch is computed");
    }
}
