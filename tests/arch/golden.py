"""Published complexity of the catalog: params, conv + linear MACs, activations (None where not published).

Sources: EfficientNet, Lite, MnasNet, MobileNetV2 and TinyNet as released (timm 1.0.31), counted with
fvcore 0.1.5.post20221221 as `by_operator()["conv"] + ["linear"]`, evaluation mode, batch 1; L2 in closed form.
EfficientNetV2 and MobileNetV1 (mobilenetv1_100) as in timm 1.0.31, ResNet and WideResNet as in torchvision 0.28 and
timm, which agree; counted in the same way.
"""

GOLDEN: dict[str, tuple[int, int, int | None]] = {
    "efficientnet_b0": (5_288_548, 385_814_752, 6_748_036),
    "efficientnet_b1": (7_794_184, 686_802_832, 10_884_328),
    "efficientnet_b2": (9_109_994, 993_561_872, 13_832_834),
    "efficientnet_b3": (12_233_232, 1_827_141_392, 23_831_296),
    "efficientnet_b4": (19_341_616, 4_393_771_024, 49_489_032),
    "efficientnet_b5": (30_389_784, 10_266_384_752, 98_857_400),
    "efficientnet_b6": (43_040_704, 19_067_593_536, 167_393_400),
    "efficientnet_b7": (66_347_960, 37_745_884_192, 289_939_464),
    "efficientnet_b8": (87_413_142, 62_597_461_568, 442_886_462),
    "efficientnet_l2": (480_309_308, 475_703_653_280, None),
    "efficientnet_lite0": (4_652_008, 385_187_552, None),
    "efficientnet_lite1": (5_416_680, 600_185_232, None),
    "efficientnet_lite2": (6_092_072, 859_736_272, None),
    "efficientnet_lite3": (8_197_096, 1_383_321_872, None),
    "efficientnet_lite4": (13_006_568, 2_553_034_336, None),
    "efficientnet_v2_b0": (7_139_704, 718_086_176, None),
    "efficientnet_v2_b1": (8_141_052, 1_196_819_360, None),
    "efficientnet_v2_b2": (10_096_086, 1_697_542_832, None),
    "efficientnet_v2_b3": (14_358_406, 3_011_458_816, None),
    "efficientnet_v2_s": (21_458_488, 8_365_617_152, None),
    "efficientnet_v2_m": (54_139_356, 24_582_460_384, None),
    "efficientnet_v2_l": (118_515_272, 56_079_699_008, None),
    "mnasnet_a1": (3_887_038, 311_579_072, None),
    "mnasnet_b1": (4_383_312, 314_415_872, None),
    "mobilenet_v1": (4_231_976, 568_740_352, 5_043_688),
    "mobilenet_v2": (3_504_872, 300_774_272, None),
    "resnet18": (11_689_512, 1_814_073_344, 2_484_712),
    "resnet50": (25_557_032, 4_089_184_256, 11_114_984),
    "resnet101": (44_549_160, 7_801_405_440, 16_232_936),
    "resnet152": (60_192_808, 11_513_626_624, 22_555_112),
    "tinynet_a": (6_187_972, 336_867_712, None),
    "tinynet_b": (3_730_562, 200_709_360, None),
    "tinynet_c": (2_457_234, 99_536_432, None),
    "tinynet_d": (2_338_446, 51_580_656, None),
    "tinynet_e": (2_042_972, 24_356_848, None),
    "wide_resnet50_2": (68_883_240, 11_398_021_120, 14_401_512),
}
