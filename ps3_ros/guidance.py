"""What guides a camera's looks beside the question: priors from outside, on ~/prior and ~/prior/regions, and the gaze of standing queries.

Imports ROS. Hooked into a camera's channel when the node is configured (node.ATTACHED).
"""

from . import messages
from .gaze import Gazes
from .prior import PriorError, Priors, prior_from_image, prior_from_regions

IMAGE, REGIONS = "prior", "prior/regions"


def attach(channel):
    """Makes a channel (channel.Channel) take priors, and its standing queries remember where they looked."""
    node, desk, priors, gazes = channel.node, channel.desk, Priors(), Gazes()

    def put(source, make):
        try:
            priors.put(source, make(), node.now_ns())
        except PriorError as error:
            desk.count("bad_priors")
            node.log("prior", str(error))

    def on_image(m):
        put(IMAGE, lambda: prior_from_image(m.height, m.width, m.encoding, m.step, m.data, messages.stamp_ns(m.header.stamp)))

    def prior(request, frame, standing):
        now, asker = node.parameters_now(), desk.office.responder.asker
        outside = priors.newest(frame.stamp_ns or node.now_ns(), now.prior_timeout_s)
        if not (standing and now.gaze) or asker is None:
            return outside
        return gazes.guide(request.key, asker.settings, frame, outside)

    def learn(answer, detail, frame):
        if answer.standing and answer.final and node.parameters_now().gaze:
            gazes.learn(answer.id or answer.query, frame, detail.regions, detail.canvas)

    channel.takes[IMAGE] = on_image
    channel.takes[REGIONS] = lambda message: put(REGIONS, lambda: prior_from_regions(message.data))
    desk.prior = prior
    channel.listeners.append(learn)
