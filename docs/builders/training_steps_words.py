"""The explanations in docs/training-steps.md, in English and in Korean, by the statements they explain."""

from dataclasses import dataclass, field

Words = dict[str, str]


@dataclass
class Step:
    """A piece of code: how each of its statements begins, a heading, and what is to be said about it."""

    begins: tuple[str, ...]
    title: Words
    text: Words
    events: tuple[str, ...] = ()
    """Callbacks that fire inside of what is called here."""
    methods: tuple[str, ...] = ()
    """Methods to override that are called inside of what is called here."""


@dataclass
class Part:
    """A function of loop.py, or a method of a class there; one without steps is shown as a whole."""

    name: str
    title: Words
    steps: list[Step] = field(default_factory=list)
    text: Words | None = None
    method: str = ""


def both(english: str, korean: str) -> Words:
    return {"en": english, "ko": korean}


FRAME = {
    "en": {
        "head": "# What the Trainer does, step by step\n\n*[한국어](training-steps.ko.md)*",
        "about": """This page is made from that code,
        [`src/madang/training/loop.py`](../src/madang/training/loop.py), so what it shows is what runs. Below each
        piece stand the callbacks that are called there and the methods of `Trainer` that one overrides to change
        it. `trainer.to_script("train.py")` writes the same steps, for one training and with everything filled in,
        as a program of its own.""",
        "events": "Callbacks",
        "methods": "To change it, override",
    },
    "ko": {
        "head": "# Trainer가 하는 일, 한 걸음씩\n\n*[English](training-steps.md)*",
        "about": """이 문서는 바로 그 코드인 [`src/madang/training/loop.py`](../src/madang/training/loop.py)에서
        만들어집니다. 그래서 여기 보이는 코드가 곧 실제로 도는 코드입니다. 코드 조각마다 그 자리에서 불리는
        콜백과, 동작을 바꾸고 싶을 때 재정의할 `Trainer`의 메서드를 적어 두었습니다.
        `trainer.to_script("train.py")`를 부르면 같은 과정을 여러분의 설정에 맞게 모두 풀어 쓴 독립된 프로그램을
        얻을 수 있습니다.""",
        "events": "불리는 콜백",
        "methods": "바꾸려면 재정의할 것",
    },
}

DOCSTRING = both(
    """The training loop. Everything training does is on this page, in the order in which it happens.

    An optimizer step is made of one or more micro-batches (gradient accumulation). Their losses are sums over targets,
    divided by the number of targets of the whole step: however a step is cut into micro-batches, however long their
    texts are and however many processes share it, the gradient is that of one big batch.""",
    """학습 루프입니다. 학습에서 일어나는 모든 일이 일어나는 순서대로 이 한 페이지에 담겨 있습니다.

    옵티마이저 스텝 하나는 마이크로배치 하나 또는 여러 개로 이루어집니다(그래디언트 누적). 마이크로배치의 손실은
    타깃마다의 손실을 모두 더한 뒤, 스텝 전체의 타깃 수로 나눈 값입니다. 그래서 스텝을 마이크로배치 몇 개로 나누든,
    글이 얼마나 길든, 프로세스 몇 개가 나누어 맡든 그래디언트는 큰 배치 하나로 계산한 것과 같습니다.""",
)

PARTS = [
    Part(
        "train",
        both("The loop", "루프"),
        [
            Step(
                ("state, control, fire, meter", "began, first_step"),
                both("What is at hand", "손에 쥐고 시작하는 것"),
                both(
                    """`state` says how far training is (`global_step`, `epoch`, everything that was logged).
                    `control` holds flags by which callbacks ask for something: to log, to evaluate, to save, to
                    stop. `fire` calls an event of all callbacks. `meter` averages the losses. The clock is read,
                    so that speed can be told at the end.""",
                    """`state`는 학습이 어디까지 왔는지(`global_step`, `epoch`, 지금까지 남긴 기록)를 담고
                    있습니다. `control`에는 콜백이 무언가를 부탁할 때 세우는 깃발이 있습니다. 기록하기, 평가하기,
                    저장하기, 멈추기입니다. `fire`는 모든 콜백의 이벤트를 부르고, `meter`는 손실의 평균을 냅니다.
                    끝날 때 속도를 알려 주려고 시계도 봐 둡니다.""",
                ),
            ),
            Step(
                ('fire("on_train_begin")', "trainer.log_evaluate_save()", "trainer.optimizer.zero_grad()"),
                both("Before the first step", "첫 스텝 전에"),
                both(
                    """With `eval_on_start` the model is evaluated before it has learned anything: a number to
                    compare with. Gradients that somebody may have left behind are cleared.""",
                    """`eval_on_start`를 켜 두면 아무것도 배우기 전의 모델을 먼저 평가합니다. 나중에 견주어 볼
                    기준이 됩니다. 혹시 남아 있을지 모르는 그래디언트는 지웁니다.""",
                ),
                events=("on_evaluate", "on_log"),
                methods=("evaluate",),
            ),
            Step(
                ("for epoch in", "batches =", "done, whole =", 'fire("on_epoch_begin")'),
                both("An epoch begins", "에폭이 시작되면"),
                both(
                    """An epoch goes through all rows once. Their order is drawn anew for every epoch, from the
                    seed and the number of the epoch and nothing else, so the same arguments always give the same
                    order. Batches are made only when they are needed. `done` counts those of this epoch; where
                    training goes on from a checkpoint, the ones before it are already done.""",
                    """에폭 하나는 모든 행을 한 번씩 훑습니다. 행의 순서는 에폭마다 새로 정해지는데, 오직 시드와
                    에폭 번호에만 달려 있습니다. 그래서 인자가 같으면 순서도 늘 같습니다. 배치는 필요할 때가
                    되어서야 만들어집니다. `done`은 이 에폭에서 끝낸 배치 수입니다. 체크포인트에서 이어 갈 때는 그
                    앞의 배치를 이미 끝낸 것으로 칩니다.""",
                ),
                methods=("get_train_dataloader", "_get_train_sampler"),
            ),
            Step(
                ("for micro_batches in", 'fire("on_step_begin")', "targets ="),
                both("A step begins: its targets are counted", "스텝의 시작: 타깃 세기"),
                both(
                    """An optimizer step takes `gradient_accumulation_steps` batches. Before anything is computed,
                    their targets are counted: for a classifier one per text, for a model that labels or foretells
                    tokens one per token, without padding (a label of -100 is no target). The loss will be divided
                    by this number, so that every target weighs the same, in whichever batch it stands.""",
                    """옵티마이저 스텝 하나는 배치 `gradient_accumulation_steps`개를 씁니다. 계산을 시작하기 전에
                    타깃이 모두 몇 개인지부터 셉니다. 글을 분류하는 모델은 글마다 하나, 토큰에 이름을 붙이거나
                    다음 토큰을 맞히는 모델은 토큰마다 하나이고, 패딩은 세지 않습니다(레이블이 -100이면 타깃이
                    아닙니다). 손실을 이 수로 나누기 때문에 어느 배치에 들어 있든 타깃 하나의 무게가 같습니다.""",
                ),
                methods=("count_targets",),
            ),
            Step(
                ("loss =", "trainer.check_loss"),
                both("Forward and backward", "순전파와 역전파"),
                both(
                    """`accumulate`, further down, lets the model answer, compares the answers with the labels and
                    works out how each weight would have to change. When memory runs out and
                    `auto_find_batch_size` is on, batches are cut in halves until they fit; the gradient stays the
                    same. A loss that is no finite number would spoil all weights, so training stops there with an
                    error that names the rows.""",
                    """아래에 나오는 `accumulate`에서 모델이 답을 내고, 그 답을 레이블과 견주어, 가중치마다 어느
                    쪽으로 얼마나 바뀌어야 하는지를 계산합니다. 메모리가 모자랄 때 `auto_find_batch_size`가 켜져
                    있으면 들어갈 때까지 배치를 반으로 나누는데, 그래도 그래디언트는 같습니다. 손실이 무한대가
                    되거나 수가 아니게 되면 가중치를 모두 망치므로, 어느 행에서 그랬는지 알려 주는 오류를 내고
                    멈춥니다.""",
                ),
                methods=("training_step", "compute_loss"),
            ),
            Step(
                ("trainer.gradient_norm =", 'fire("on_pre_optimizer_step")'),
                both("The gradient is shortened", "그래디언트 줄이기"),
                both(
                    """All gradients together are one long arrow. Where it is longer than `max_grad_norm`, it is
                    shortened to that length and keeps its direction: one odd batch cannot throw the model far
                    away. How long it was is logged as `grad_norm`.""",
                    """그래디언트를 모두 모으면 긴 화살표 하나가 됩니다. 이것이 `max_grad_norm`보다 길면 방향은
                    그대로 두고 그 길이로 줄입니다. 유별난 배치 하나가 모델을 멀리 튕겨 보내지 못하게 하려는
                    것입니다. 줄이기 전의 길이는 `grad_norm`으로 기록됩니다.""",
                ),
            ),
            Step(
                (
                    "if trainer.step_optimizer()",
                    'fire("on_optimizer_step")',
                    "trainer.step_scheduler()",
                    "trainer.optimizer.zero_grad()",
                ),
                both("The weights change", "가중치가 바뀌는 순간"),
                both(
                    """The optimizer moves every weight a little against its gradient; how far, the learning rate
                    says. Then the schedule sets the learning rate of the next step. With `fp16` it happens that
                    the scale was too large for these gradients: then nothing changes, and the schedule waits.
                    Afterwards gradients are cleared, or the next step would add to them.""",
                    """옵티마이저가 가중치를 저마다 그래디언트의 반대쪽으로 조금씩 옮깁니다. 얼마나 옮길지는
                    학습률이 정합니다. 그다음에는 스케줄이 다음 스텝의 학습률을 정합니다. `fp16`에서는 배율이 너무
                    커서 그래디언트가 넘칠 때가 있는데, 그러면 가중치를 바꾸지 않고 스케줄도 기다립니다.
                    마지막으로 그래디언트를 지웁니다. 지우지 않으면 다음 스텝의 그래디언트가 그 위에 더해집니다.""",
                ),
                methods=("create_optimizer", "create_scheduler"),
            ),
            Step(
                ("done +=", "meter.add", "state.global_step +=", "state.epoch =", "trainer.position ="),
                both("Counting", "세어 두기"),
                both(
                    """The loss goes to the meter as it is, on its device: reading it would make the program wait
                    for a GPU. `epoch` is a fraction, 1.5 in the middle of the second one. The position is what a
                    checkpoint keeps, to go on with the very next batch.""",
                    """손실은 장치 위에 있는 그대로 미터에 넘깁니다. 값을 읽으면 GPU가 끝날 때까지 프로그램이
                    기다려야 하기 때문입니다. `epoch`은 소수라서 두 번째 에폭의 한가운데는 1.5입니다. 체크포인트는
                    `position`을 함께 저장해 두었다가 바로 다음 배치부터 이어 갑니다.""",
                ),
            ),
            Step(
                (
                    'fire("on_step_end")',
                    "trainer.log_evaluate_save()",
                    "if control.should_epoch_stop",
                    "whole =",
                    "break",
                ),
                both("The step ends", "스텝이 끝나면"),
                both(
                    """In `on_step_end` the flags are set, by `logging_steps`, `eval_steps` and `save_steps` and
                    by callbacks of your own. `log_evaluate_save` does what they ask for, in this order: the mean
                    loss since the last time is logged; the model is evaluated, and whether it is the best so far
                    is noted; a checkpoint is written. Then it may be time to stop; `whole` says whether the
                    epoch's last batch was reached.""",
                    """`on_step_end`에서 깃발이 세워집니다. `logging_steps`, `eval_steps`, `save_steps`에 따라
                    세워지기도 하고 여러분의 콜백이 세우기도 합니다. `log_evaluate_save`는 깃발이 부탁한 일을
                    정해진 순서로 합니다. 지난번 이후의 평균 손실을 기록하고, 모델을 평가해서 지금까지 가운데 가장
                    나은지 적어 두고, 체크포인트를 저장합니다. 그러고 나면 멈출 때가 되었을 수도 있습니다.
                    `whole`은 에폭의 마지막 배치까지 갔는지를 나타냅니다.""",
                ),
                events=("on_log", "on_prediction_step", "on_evaluate", "on_save"),
                methods=("log", "evaluate", "prediction_step", "get_eval_dataloader"),
            ),
            Step(
                (
                    "if not done",
                    "raise InputError",
                    "control.should_epoch_stop =",
                    "trainer.position =",
                    'fire("on_epoch_end")',
                    "trainer.log_evaluate_save()",
                    "if control.should_training_stop",
                    "break",
                ),
                both("The epoch ends", "에폭이 끝나면"),
                both(
                    """An epoch without a batch is a mistake in the data, and said so. `on_epoch_end` sets the
                    flags for what is wanted once in an epoch (`eval_strategy="epoch"` and its relatives).""",
                    """배치가 하나도 없는 에폭은 데이터가 잘못된 것이므로 오류로 알려 줍니다. `on_epoch_end`에서는
                    에폭마다 한 번씩 할 일 (`eval_strategy="epoch"` 같은 것)의 깃발이 세워집니다.""",
                ),
                events=("on_log", "on_evaluate", "on_save"),
            ),
            Step(
                (
                    "if trainer.args.load_best_model_at_end",
                    "trainer.load_best()",
                    "metrics =",
                    'fire("on_train_end")',
                    "return TrainOutput",
                ),
                both("Training ends", "학습이 끝나면"),
                both(
                    """With `load_best_model_at_end` the model gets the weights of its best evaluation back. The
                    mean loss of all steps and the speed are logged and returned.""",
                    """`load_best_model_at_end`를 켜 두면 평가가 가장 좋았을 때의 가중치를 모델에 되돌려 놓습니다.
                    모든 스텝의 평균 손실과 속도를 기록하고 돌려줍니다.""",
                ),
                events=("on_log",),
                methods=("log",),
            ),
        ],
    ),
    Part(
        "accumulate",
        both("One step's forward and backward", "한 스텝의 순전파와 역전파"),
        [
            Step(
                (
                    "loss =",
                    "for place, batch",
                    "last =",
                    "with trainer.processes.syncing",
                    "loss +=",
                    "if not last",
                    "trainer.fire",
                    "return loss",
                ),
                both("Batch after batch", "배치를 하나씩"),
                both(
                    """`training_step` puts a batch on the model's device, calls the model, takes the loss and
                    calls `backward()`, which adds to the gradients that are there: so they add up over the
                    batches of a step. Every batch's loss is its part of the step's, as it is divided by the
                    targets of all of them. Where several processes train together, they exchange gradients only
                    after the last batch.

                    Between two batches nothing is learned: the weights change once in a step, after its last
                    batch.""",
                    """`training_step`은 배치를 모델이 있는 장치로 옮기고, 모델을 불러 손실을 얻고, `backward()`를
                    부릅니다. `backward()`는 이미 있는 그래디언트에 더하므로 한 스텝의 배치들이 차곡차곡 쌓입니다.
                    배치마다의 손실은 모든 배치의 타깃 수로 나눈 것이라, 더하면 스텝 전체의 손실이 됩니다. 여러
                    프로세스가 함께 학습할 때는 마지막 배치가 끝난 뒤에만 그래디언트를 주고받습니다.

                    배치와 배치 사이에는 아직 배운 것이 없습니다. 가중치는 스텝마다 한 번, 마지막 배치가 끝난 뒤에
                    바뀝니다.""",
                ),
                methods=("training_step", "compute_loss"),
            ),
        ],
    ),
    Part(
        "Plan",
        both("How long to train", "얼마나 오래 학습할까"),
        [
            Step(
                ("accumulation, per_epoch =", "if per_epoch is None", "if args.max_steps", "raise", "return cls"),
                both("Data of unknown length", "길이를 모르는 데이터"),
                both(
                    """A stream does not know how many batches it has; then `max_steps` must say how long to
                    train.""",
                    """스트림은 배치가 모두 몇 개인지 모릅니다. 그럴 때는 `max_steps`로 얼마나 학습할지 정해
                    주어야 합니다.""",
                ),
            ),
            Step(
                ("if per_epoch == 0", "raise", "steps_per_epoch =", "wanted =", "return cls"),
                both("Steps and epochs", "스텝과 에폭"),
                both(
                    """20 rows in batches of 8 are 3 batches, and with `gradient_accumulation_steps=2` they make 2
                    steps an epoch, the second of one batch only. `max_steps`, where it is given, goes before
                    `num_train_epochs`, and the last epoch may then be cut short.""",
                    """20행을 8행씩 나누면 배치가 3개이고, `gradient_accumulation_steps=2`라면 에폭 하나가 2스텝이
                    됩니다. 두 번째 스텝에는 배치가 하나뿐입니다. `max_steps`를 주면 `num_train_epochs`보다 먼저
                    따르므로, 마지막 에폭은 중간에 끝날 수 있습니다.""",
                ),
            ),
        ],
        method="of",
    ),
    Part(
        "steps",
        both("Batches into steps", "배치를 스텝으로 묶기"),
        text=both(
            "The batches of an epoch, `accumulation` at a time; what is left at the end of an epoch is a smaller step.",
            "한 에폭의 배치를 `accumulation`개씩 묶습니다. 에폭 끝에 남는 것은 더 작은 스텝이 됩니다.",
        ),
    ),
    Part(
        "Position",
        both("Where training is", "지금 어디쯤인지"),
        text=both(
            "Two numbers are enough to go on after a checkpoint: the order of rows follows from them and the seed.",
            "체크포인트에서 이어 가는 데는 이 두 수면 충분합니다. 행의 순서는 이 수들과 시드에서 다시 나옵니다.",
        ),
    ),
    Part(
        "Meter",
        both("What is averaged", "평균 내기"),
        text=both(
            """Losses are added up where they were computed. Only when something is logged is the sum read,
            divided and begun anew; `train_loss` at the end is the mean over all steps.""",
            """손실은 계산된 자리에서 그대로 더해 갑니다. 기록할 때가 되어서야 합을 읽어 나누고 새로 시작합니다.
            마지막에 나오는 `train_loss`는 모든 스텝의 평균입니다.""",
        ),
    ),
    Part(
        "speed",
        both("Speed", "속도"),
        text=both(
            "What training and evaluating tell about how quick they were.",
            "학습과 평가가 얼마나 빨랐는지 이렇게 알려 줍니다.",
        ),
    ),
]
