"""DOR (Wang et al., ICML 2025): its hold on the text features of other names, on the prompts of OpenDAS.

The paper adds it to methods of prompt learning; here to the tokens of OpenDAS in both towers, learnt at once by
cross-entropy. Its names are nouns of WordNet that are near the training names; here they are ImageNet's 1,000, and
``hold.names`` takes a file of others. Of its settings only the loss could be had: the weight is that of KgCoOp's hold
on the training names, which it starts from, and the number of names a step is ours.
"""

from __future__ import annotations

from opendas_plugin.methods.stages import JOINT, Method

METHOD = Method(stages=(JOINT,), recipe={"hold": {"weight": 8.0}})
