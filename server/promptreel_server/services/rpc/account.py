"""AccountService: what clients report about themselves."""

from typing import Any

import grpc

from promptreel.v2 import account_pb2, account_pb2_grpc


class AccountService(account_pb2_grpc.AccountServiceServicer):
    """Answers the call by which clients announce that they are about to write."""

    async def RecordProcessingActivity(
        self,
        request: account_pb2.RecordProcessingActivityRequest,
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> account_pb2.RecordProcessingActivityResponse:
        """Say that the caller may go on: reaching this point proves key and scope."""
        return account_pb2.RecordProcessingActivityResponse()
