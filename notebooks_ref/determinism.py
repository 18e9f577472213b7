"""The switches that decide bits on CUDA, after each way to set them: one line of six 0s and 1s, in the order of `read`."""

import torch


def read():
    return [
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.backends.cudnn.deterministic,
        torch.backends.cudnn.benchmark,
        torch.backends.cuda.matmul.allow_tf32,
        torch.backends.cudnn.allow_tf32,
    ]


def show():
    print(*(int(switch) for switch in read()))


def main():
    show()
    torch.use_deterministic_algorithms(True)
    show()
    torch.use_deterministic_algorithms(True, warn_only=True)
    show()
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.deterministic = True
    show()
    torch.backends.cudnn.deterministic = False
    torch.backends.cudnn.benchmark = True
    show()
    torch.backends.cudnn.benchmark = False
    torch.backends.cuda.matmul.allow_tf32 = True
    show()
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    show()


if __name__ == "__main__":
    main()
