"""The private fields of a contract for people; a field's own name is what a custodian is asked for.

One table for the verifier's sentences, the certificate and, tests hold, the page.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from verifier.report import Words

FIELD_WORDS: Final[Mapping[str, Words]] = {
    "account_number": Words("银行账号", "Account number"),
    "address": Words("地址", "Address"),
    "beneficiary_id_number": Words("受益人证件号码", "Beneficiary's identity number"),
    "beneficiary_name": Words("受益人姓名", "Beneficiary's name"),
    "beneficiary_phone": Words("受益人电话", "Beneficiary's phone"),
    "birth_date": Words("出生日期", "Date of birth"),
    "card_number": Words("卡号", "Card number"),
    "consumer_id": Words("托管机构客户编号", "Custodian's number for the consumer"),
    "device_id": Words("设备编号", "Device"),
    "email": Words("电子邮箱", "E-mail"),
    "guardian_id_number": Words("监护人证件号码", "Guardian's identity number"),
    "guardian_name": Words("监护人姓名", "Guardian's name"),
    "guardian_phone": Words("监护人电话", "Guardian's phone"),
    "guardian_relation": Words("监护关系", "Guardian's relation"),
    "health": Words("健康信息", "Health"),
    "holder_id_number": Words("持卡人证件号码", "Holder's identity number"),
    "holder_name": Words("持卡人姓名", "Holder's name"),
    "holder_phone": Words("持卡人电话", "Holder's phone"),
    "id_number": Words("消费者证件号码", "Consumer's identity number"),
    "id_type": Words("消费者证件种类", "Consumer's kind of identity document"),
    "name": Words("消费者姓名", "Consumer's name"),
    "note_1": Words("备注一", "Note 1"),
    "note_2": Words("备注二", "Note 2"),
    "note_3": Words("备注三", "Note 3"),
    "note_4": Words("备注四", "Note 4"),
    "payer_account": Words("付款人账号", "Payer's account"),
    "payer_id_number": Words("付款人证件号码", "Payer's identity number"),
    "payer_name": Words("付款人姓名", "Payer's name"),
    "phone": Words("消费者电话", "Consumer's phone"),
    "vehicle_plate": Words("车牌号", "Vehicle's plate"),
    "wallet_id": Words("钱包编号", "Wallet"),
    "wallet_provider": Words("钱包服务机构", "Wallet's provider"),
}
"""By the names of `ledger.disclosure.FIELDS`, in their order."""
