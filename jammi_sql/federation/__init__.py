"""What of a query is computed where its data is: plans read, cut, and said in the dialects of attached databases.

Pure: nothing here connects to anything.
"""
