import pytest

from ps3_ros.errors import FrameError
from ps3_ros.exits import exit_code


def raising(error):
    def action():
        raise error

    return action


@pytest.mark.parametrize("returned, code", [(None, 0), (0, 0), (1, 1)])
def test_what_an_action_returns_is_the_exit_code(returned, code):
    assert exit_code("ps3", lambda: returned) == code


@pytest.mark.parametrize(
    "error, code, said",
    [
        (FrameError("frame is empty; send another"), 2, "ps3: frame is empty; send another\n"),
        (PermissionError(13, "Permission denied", "/a"), 2, "ps3: Permission denied: '/a'; check the path and its rights\n"),
        (KeyboardInterrupt(), 130, "ps3: stopped\n"),
    ],
)
def test_what_a_user_can_mend_is_one_sentence(capsys, error, code, said):
    assert exit_code("ps3", raising(error)) == code
    assert capsys.readouterr().err == said


def test_a_fault_of_ours_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        exit_code("ps3", raising(ZeroDivisionError()))
