// Routes, causes, standards of interest and open questions in Chinese and English.
//
// The words are those of the derivation that the command line writes; each question has the articles that
// leave it open, as they are cited, and what each answer assumes.

export const ROUTE_WORDS = new Map([
  ["cooling_off", ["七日无理由退款（第十四条）", "without a reason within seven days (art. 14)"]],
  ["invalidity", ["无效、被撤销或不发生效力（第十、十五条）", "invalid, revoked or without effect (arts 10, 15)"]],
  ["termination", ["合同解除（第十三、十五条）", "ended (arts 13, 15)"]],
]);

export const CAUSE_OF_RETURN_WORDS = new Map([
  ["merchant", ["因经营者原因", "the merchant's cause"]],
  ["neither", ["双方均无原因", "neither's cause"]],
  ["consumer", ["因消费者原因", "the consumer's cause"]],
  ["any", ["不论原因", "whatever the cause"]],
]);

export const STANDARD_WORDS = new Map([
  ["agreed", ["约定利率", "agreed rate"]],
  ["lpr_1y", ["一年期 LPR", "one-year LPR"]],
  ["deposit_1y", ["一年期存款基准利率", "one-year deposit benchmark"]],
  ["none", ["不计利息", "none"]],
]);

/** Of each question the articles, then its answers. */
export const QUESTION_WORDS = new Map([
  ["ended_by", [["第十七条第一款、民法典第五百六十五条第一款、第五百六十五条第二款", "art. 17(1), civil code art. 565(1), 565(2)"], new Map([
    ["judgment", ["裁判确定之日", "the day the judgment names"]],
    ["agreement", ["协议解除之日", "the day of the agreement"]],
    ["notice", ["通知到达时解除", "the notice ended the contract when it arrived"]],
    ["complaint", ["起诉状副本送达时解除", "the served complaint ended the contract"]],
    ["assumed", ["假设合同于截止日终止", "the contract ends on the as-of day"]],
  ])]],
  ["disputed", [["第二十五条", "art. 25"], new Map([
    ["counted", ["有异议的提供确已发生", "the deliveries objected to happened"]],
    ["not_counted", ["有异议的提供并未发生", "they did not happen"]],
  ])]],
  ["after_end", [["第十五条第一款、民法典第五百六十六条第一款", "art. 15(1), civil code art. 566(1)"], new Map([
    ["counted", ["已记录的终止或者确认之后的提供计为已提供", "what was delivered after the recorded end or finding counts as delivered"]],
    ["not_counted", ["已记录的终止或者确认之后的提供不计为已提供", "what was delivered after the recorded end or finding does not count"]],
    ["whole", ["截止日之后的付款与提供一并计入", "what was paid and delivered after the as-of day counts all the same"]],
  ])]],
  ["bonus_units", [["第十八条第一款第二项、第二十一条", "art. 18(1)(2), 21"], new Map([
    ["bonus", ["赠送次数摊低单价", "the extra units lower the price of all"]],
    ["gift", ["赠送次数属于赠品", "the extra units are gifts and are not netted"]],
  ])]],
  ["topups", [["第十八条第一款第二项", "art. 18(1)(2)"], new Map([
    ["pooled", ["各次充值合并计算比例", "one ratio over all top-ups"]],
    ["in_turn", ["逐笔依次按各自比例", "each top-up at its own ratio, oldest first"]],
  ])]],
  ["price", [["第十九条第二款", "art. 19(2)"], new Map([
    ["undiscounted", ["按打折前价格", "the price before discount is taken"]],
    ["market", ["法院按市场价格", "the court takes the market price"]],
  ])]],
  ["pass", [["第十九条第一款、第二十二条第一款", "art. 19(1), 22(1)"], new Map([
    ["article_22", ["适用第二十二条，不分原因", "art. 22 applies whatever the cause"]],
    ["article_19", ["折扣卡适用第十九条", "art. 19 applies to a discounted pass"]],
  ])]],
  ["stopped", [["第二十二条第二款、第二十五条", "art. 22(2), 25"], new Map([
    ["happened", ["如所主张，服务已停止", "the service stopped, as is claimed"]],
    ["not_happened", ["服务并未停止", "it did not stop"]],
  ])]],
  ["resumed", [["第二十二条第二款、第二十五条", "art. 22(2), 25"], new Map([
    ["happened", ["如所主张，服务已恢复", "the service came back, as is claimed"]],
    ["not_happened", ["服务并未恢复", "it did not come back"]],
  ])]],
  ["interruption", [["第二十二条第二款", "art. 22(2)"], new Map([
    ["used", ["中断期间计为已用", "days without service count as used"]],
    ["remaining", ["中断期间计为剩余", "days without service count as remaining"]],
  ])]],
  ["activation_day", [["第十五条第一款、第二十二条第一款", "art. 15(1), 22(1)"], new Map([
    ["recorded", ["以上链之时为首次启用之日", "first used when the ledger recorded it"]],
    ["dated", ["以经营者单方所称之日为首次启用之日", "first used when the merchant alone says"]],
  ])]],
  ["voucher", [["第十五条第一款、第十八条第一款第二项", "art. 15(1), 18(1)(2)"], new Map([
    ["pro_rata", ["按比例使用", "voucher and own money were used in proportion"]],
    ["voucher_first", ["先用消费券", "the voucher was used first"]],
  ])]],
  ["deduction", [["第十条第三款", "art. 10(3)"], new Map([
    ["claimed", ["经营者主张抵扣", "the merchant asks for the deduction"]],
    ["not_claimed", ["经营者未主张抵扣", "the merchant does not ask"]],
  ])]],
  ["minor_service", [["第十条第三款", "art. 10(3)"], new Map([
    ["lawful", ["服务系合法提供", "the service was lawfully provided"]],
    ["unlawful", ["违法向未成年人提供", "it was unlawfully provided to a minor"]],
  ])]],
  ["formation_day", [["第十六条第一款、第十七条第二款", "art. 16(1), 17(2)"], new Map([
    ["recorded", ["以上链之时为合同订立之时", "made when the ledger recorded it"]],
    ["dated", ["以经营者单方所称之时为合同订立之时", "made when the merchant alone says"]],
  ])]],
  ["request", [["第十四条第一款、民法典第一百三十七条第二款", "art. 14(1), civil code art. 137(2)"], new Map([
    ["sent", ["以发出为准", "asking counts when it is sent"]],
    ["arrived", ["以到达为准", "asking counts when it arrives"]],
  ])]],
  ["prior_use", [["第十四条第一款第一项、第十四条第一款第二项", "art. 14(1)(1), 14(1)(2)"], new Map([
    ["not_proven", ["此前未获得过相同商品或服务", "the same had not been had before"]],
    ["proven", ["此前已获得过相同商品或服务", "the same had been had before"]],
  ])]],
  ["payment_day", [["第十四条第一款", "art. 14(1)"], new Map([
    ["recorded", ["以上链之时为付款之日", "paid when the ledger recorded it"]],
    ["dated", ["以经营者单方所称之日为付款之日", "paid when the merchant alone says"]],
  ])]],
  ["window", [["第十四条第一款", "art. 14(1)"], new Map([
    ["each_payment", ["逐笔付款各自起算", "seven days from each payment, for it"]],
    ["first_payment", ["自首次付款起算", "seven days from the first payment"]],
    ["last_payment", ["自末次付款起算", "seven days from the last payment"]],
  ])]],
  ["use", [["第十四条第一款", "art. 14(1)"], new Map([
    ["not_deducted", ["已用部分不扣减", "what was used is not deducted"]],
    ["discounted", ["按折扣价扣减", "it is deducted at the discounted price"]],
    ["undiscounted", ["按打折前价格扣减", "it is deducted at the price before discount"]],
  ])]],
]);
